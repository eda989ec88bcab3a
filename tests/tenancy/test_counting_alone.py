"""Two gateways that each count for themselves would let twice as much through: the second one does not start."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from proxy import Listen, Store, setup
from proxy.tenancy import alone
from proxy.tenancy.alone import Alone
from tests.support.gateways import config_for


async def test_the_second_does_not_start_and_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_WITHIN_S", 0.2)
    first, second = Alone(str(tmp_path)), Alone(str(tmp_path))
    await first.acquire()
    with pytest.raises(RuntimeError, match="give both `redis`") as refused:
        await second.acquire()
    said = str(refused.value)
    assert said.startswith(f"process {os.getpid()} counts its limits in {tmp_path}: ")
    assert "timeouts.drain_s" in said
    assert "store.state_dir" in said
    first.release()
    await second.acquire()
    second.release()


async def test_one_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    first, second = Alone(str(tmp_path)), Alone(str(tmp_path))
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.release()
    await waiting
    second.release()


async def test_elsewhere_nobody_is_in_the_way(tmp_path: Path) -> None:
    first, second = Alone(str(tmp_path / "a")), Alone(str(tmp_path / "b"))
    await first.acquire()
    await second.acquire()
    first.release()
    second.release()


@contextlib.asynccontextmanager
async def _an_application(state: Path, store_url: str, processes: int) -> AsyncIterator[None]:
    """Run an application that holds a gateway, as one of its processes does."""
    app = web.Application()
    config = config_for(
        "http://127.0.0.1:9",
        listen=Listen(workers=processes, base_path="/llm"),
        store=Store(store_url, str(state)),
    )
    setup(app, config)
    runner = web.AppRunner(app)
    try:
        await runner.setup()
        yield
    finally:
        await runner.cleanup()


async def test_the_second_process_of_an_application_does_not_start_unless_it_says_how_many_there_are(
    tmp_path: Path, postgres_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_WITHIN_S", 0.2)
    async with _an_application(tmp_path, postgres_store, 1):
        with pytest.raises(RuntimeError, match="says in how many"):
            async with _an_application(tmp_path, postgres_store, 1):
                pass
    async with (
        _an_application(tmp_path, postgres_store, 2),
        _an_application(tmp_path, postgres_store, 2),
    ):
        pass
