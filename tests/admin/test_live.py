"""The admin API tells what each request in flight waits for, whichever worker has it, also when one does not answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy import Admin, AdminKey
from proxy.access.keys import digest
from proxy.admin.app import create_app, create_app_for
from proxy.admin.workers import SocketWorkers
from proxy.server.state import state_sockets
from tests.admin.conftest import READER, Asking
from tests.ledger.rows import until
from tests.support.client import connected, request
from tests.support.gateways import MODEL, Running, config_for, running
from tests.support.raw import UpstreamSide, raw_upstream

ADMIN = Admin(keys=(AdminKey("eye", digest(READER)),))


@contextlib.asynccontextmanager
async def asked(app: web.Application) -> AsyncIterator[Asking]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            port = runner.addresses[0][1]
            yield Asking(f"http://127.0.0.1:{port}/admin/v1", session)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def through_sockets(gateway: Running, folder: Path) -> AsyncIterator[tuple[Asking, int]]:
    """Ask two workers, of which the second does not serve; yields also how many are silent."""
    with state_sockets(2, str(folder)) as (first, second):
        serving = contextlib.asynccontextmanager(first.serve)(gateway.app)
        workers = SocketWorkers((first.path, second.path))
        config = gateway.gateway.snapshot.config
        async with serving, asked(create_app(config, workers)) as ask:
            yield ask, 1


@contextlib.asynccontextmanager
async def embedded(gateway: Running, _folder: Path) -> AsyncIterator[tuple[Asking, int]]:
    async with asked(create_app_for(gateway.gateway)) as ask:
        yield ask, 0


@pytest.mark.parametrize("asking", [through_sockets, embedded])
async def test_a_request_before_a_silent_upstream_is_told_until_it_ends(
    tmp_path: Path, asking: Any
) -> None:
    sent = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        sent.set()
        await upstream.until_closed()

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, admin=ADMIN)) as gateway,
        asking(gateway, tmp_path) as (ask, silent),
        connected(gateway.host, gateway.port) as client,
    ):
        headers = {"x-claude-code-session-id": "b160e3", "x-claude-code-agent-id": "a7\xff"}
        await client.send(request(headers=headers))
        await asyncio.wait_for(sent.wait(), 5)
        status, told = await ask("GET", "/live", key=READER)
        assert status == 200
        assert (told["in_flight"], told["phases"]["awaiting_head"]) == (1, 1)
        assert (told["workers_silent"], told["has_more"]) == (silent, False)
        assert told["workers"] == silent + 1
        (row,) = told["data"]
        assert row["id"].startswith("req_")
        assert row["doing"].startswith("upstream has not answered for")
        shown = [row[name] for name in ("key", "model", "upstream", "session_id", "bytes_out")]
        assert shown == ["tester", MODEL, "first", "b160e3", 0]
        assert (await ask("GET", "/live?key=nobody", key=READER))[1]["in_flight"] == 0
        assert (await ask("GET", "/live?upstream=first", key=READER))[1]["in_flight"] == 1
        status, refused = await ask("GET", "/live?session=b160e3", key=READER)
        assert (status, refused["error"]["message"].partition(":")[0]) == (400, "session")
        client.leave()
        await until(lambda: not gateway.gateway.deadlines.in_flight)
        _, told = await ask("GET", "/live", key=READER)
        assert (told["in_flight"], told["data"]) == (0, [])


async def test_without_any_worker_that_answers_it_is_a_503(tmp_path: Path) -> None:
    with state_sockets(1, str(tmp_path)) as (only,):
        app = create_app(config_for("http://127.0.0.1:9", admin=ADMIN), SocketWorkers((only.path,)))
        async with asked(app) as ask:
            status, told = await ask("GET", "/live", key=READER)
    assert (status, told["error"]["message"]) == (503, "no worker of this machine answers")
