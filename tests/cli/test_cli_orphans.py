"""`anyrouter serve --workers N` whose first process is killed: the port is free at once, and no stream breaks."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp

from tests.cli.test_cli_workers import LISTENING, all_gone, children
from tests.ledger.rows import until
from tests.support.commands import started, write_config
from tests.support.gateways import BODY, HEADERS
from tests.support.raw import UpstreamSide, answer, raw_upstream


async def test_the_next_gateway_has_the_port_while_the_last_request_is_served(
    tmp_path: Path,
) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        asked.set()
        await may_answer.wait()
        await upstream.send(answer())

    async def post(port: str) -> int:
        url = f"http://127.0.0.1:{port}/api/v1/messages"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=BODY, headers=HEADERS) as response,
        ):
            await response.read()
            return response.status

    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url)
        args = ("serve", "--config", config, "--workers", "2")
        async with started(*args) as first:
            port = await first.says(LISTENING)
            workers = children(first)
            request = asyncio.create_task(post(port))
            await asked.wait()
            first.tell(signal.SIGKILL)
            await until(lambda: first.err.count(b"the first process is gone") == 2)
            async with started(*args, "--port", port) as second:
                assert await second.says(LISTENING) == port
                assert any(map(os.path.exists, (f"/proc/{pid}" for pid in workers)))
                may_answer.set()
                assert await request == 200
                await all_gone(workers)
                assert await post(port) == 200
