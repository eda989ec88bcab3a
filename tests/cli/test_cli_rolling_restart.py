"""Two processes behind a balancer that keeps its connections are restarted in turn: no request fails."""

import asyncio
import collections
import contextlib
import itertools
from pathlib import Path

import aiohttp

from tests.cli.test_cli_workers import LISTENING
from tests.support.commands import Command, started, write_config
from tests.support.gateways import BODY, HEADERS
from tests.support.raw import UpstreamSide, answer, raw_upstream

CLIENTS = 4
# So long a balancer may take to notice; it looks more often.
LEAVES = "timeouts: {leave_s: 1.5, drain_s: 10}\n"
LOOKS_S = 0.1


class Balancer:
    """Sends each request to the next process that is ready, by a connection that it keeps, and never twice."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._turns = itertools.count()
        self.ports: list[int] = []
        self.statuses: collections.Counter[int] = collections.Counter()

    async def clients(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            port = self.ports[next(self._turns) % len(self.ports)]
            url = f"http://127.0.0.1:{port}/v1/messages"
            async with self._session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()
            self.statuses[response.status] += 1

    async def until_not_ready(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/readyz"
        while True:
            async with self._session.get(url) as response:
                if response.status != 200:
                    return
            await asyncio.sleep(
                LOOKS_S
            )  # a balancer looks at intervals, and another process has no event


async def test_no_request_fails_while_both_processes_are_restarted_in_turn(tmp_path: Path) -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(answer())

    async with raw_upstream(script) as upstream, aiohttp.ClientSession() as session:
        config = write_config(tmp_path, upstream.url, LEAVES)
        balancer, is_over = Balancer(session), asyncio.Event()

        async def joins(command: Command) -> int:
            port = int(await command.says(LISTENING))
            balancer.ports.append(port)
            return port

        async def leaves(command: Command, port: int) -> None:
            served = balancer.statuses[200]
            command.tell()
            await balancer.until_not_ready(port)
            balancer.ports.remove(port)
            assert await command.ended() == 0
            assert balancer.statuses[200] > served, "meanwhile the others are served"

        async with contextlib.AsyncExitStack() as stack:

            async def start() -> Command:
                return await stack.enter_async_context(started("serve", "--config", config))

            first, second = await start(), await start()
            first_port, second_port = await joins(first), await joins(second)
            async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
                for _ in range(CLIENTS):
                    tasks.create_task(balancer.clients(is_over))
                await leaves(first, first_port)
                await joins(await start())
                await leaves(second, second_port)
                is_over.set()
    assert set(balancer.statuses) == {200}
