"""Pages that ask again and again, and many who ask at once: what costs nothing twice, and who waits for nobody."""

import asyncio
import threading
from typing import Any

import pytest
from aiohttp import web

from proxy.admin.context import CONTEXT
from proxy.admin.page import doors
from proxy.errors import StoreUnavailable
from tests.admin.conftest import WRITER
from tests.admin.viewing import ANNA, viewed


async def test_an_answer_equal_to_the_last_is_empty(store_url: str) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        digest_ = (await browser("/")).text.split('"If-Was": "')[1].partition('"')[0]
        assert (await browser("/", headers={"if-was": digest_})).status == 204
        assert (await browser("/", headers={"if-was": "other"})).status == 200
        assert (
            "hx-trigger"
            not in (await browser("/?pause=1")).text.partition("<main")[2].partition(">")[0]
        )


async def test_tabs_that_ask_alike_share_one_question(store_url: str) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        view, asked = browser.app[doors.VIEW], 0
        ask = view.ask

        async def counting(*args: Any) -> Any:
            nonlocal asked
            asked += 1
            return await ask(*args)

        view.ask = counting  # type: ignore[assignment]  # counts
        for path in ("/overview.json", "/", "/overview.csv"):
            assert (await browser(path)).status == 200
        assert asked <= 2


async def test_no_key_holder_keeps_operators_or_another_holder_waiting(store_url: str) -> None:
    ends, running, most = threading.Event(), 0, 0
    counts = threading.Lock()

    def long(_: object) -> None:
        nonlocal running, most
        with counts:
            running += 1
            most = max(most, running)
        ends.wait(30)
        with counts:
            running -= 1

    async with viewed(store_url) as browser:
        context = browser.app[CONTEXT]
        asked = [asyncio.create_task(context.ask(long, 0.2, holder="anna")) for _ in range(12)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in told} == {StoreUnavailable}
        assert await context.ask(lambda _: 1) == 1
        assert await context.ask(lambda _: 2, holder="ben") == 2
        assert most == 1
        ends.set()
        assert await context.ask(lambda _: 3, holder="anna") == 3


async def test_a_page_that_takes_long_to_draw_keeps_neither_the_loop_nor_operators_waiting(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, running, most = threading.Event(), 0, 0
    began, counts = threading.Semaphore(0), threading.Lock()
    render = doors.render

    def slow(request: web.Request, *args: Any, **shown: Any) -> web.Response:
        nonlocal running, most
        if shown["viewer"].key is not None:
            with counts:
                running += 1
                most = max(most, running)
            began.release()
            assert ends.wait(5), "the event loop stood still meanwhile"
            with counts:
                running -= 1
        return render(request, *args, **shown)

    monkeypatch.setattr(doors, "render", slow)
    async with viewed(store_url) as browser:
        asked = [
            asyncio.create_task(browser("/sessions", headers={"x-api-key": ANNA})) for _ in range(8)
        ]
        assert await asyncio.to_thread(began.acquire, timeout=10)
        # While one of them is drawn, whoever else asks is answered.
        assert (await browser("/healthz")).status == 200
        assert (await browser("/overview", headers={"x-api-key": WRITER})).status == 200
        ends.set()
        assert {each.status for each in await asyncio.gather(*asked)} == {200}
        assert most == 1
