"""`anyrouter doctor` gives a gateway that has just begun the seconds that it needs for its store."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from proxy.commands import examination
from proxy.commands.examination import Examination
from proxy.commands.greeting import FindingError
from proxy.errors import KeysUnavailable, ProxyError, Unauthenticated, render


@contextlib.asynccontextmanager
async def examined(*answers: ProxyError) -> AsyncIterator[Examination]:
    """Examine a gateway that gives these answers, one after the other."""
    waiting = list(answers)

    async def models(_: web.Request) -> web.Response:
        error = waiting.pop(0)
        headers, body = render(error, "req_1")
        return web.Response(status=error.status, headers=headers, body=body)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield Examination(session, url, "ar-x", None)
    finally:
        await runner.cleanup()
    assert not waiting


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_PAUSE_S", 0.0)


async def test_a_store_that_answers_soon_is_no_fault() -> None:
    async with examined(KeysUnavailable(), Unauthenticated("unknown")) as examination_of_it:
        assert await examination_of_it.wrong_key() == "refused in the API's shape"


async def test_a_store_that_does_not_answer_is_named() -> None:
    async with examined(*[KeysUnavailable()] * 5) as examination_of_it:
        with pytest.raises(FindingError, match="the gateway's store does not answer"):
            await examination_of_it.wrong_key()
