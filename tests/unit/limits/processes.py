"""Processes that share limits by a server."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.limits.local import Local
from proxy.limits.policy import Policy
from proxy.limits.server import Server
from proxy.limits.shared import Shared
from proxy.limits.verdict import Ask, Grant, Reading, Refusal
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, policy_of

WITHIN_S = 20


# Longer than a busy machine takes for an answer.
PATIENT_S = 5.0


class Process:
    """What one process of a gateway has of it."""

    def __init__(self, url: str, timeout_s: float = PATIENT_S) -> None:
        self.unknown: list[list[str]] = []
        self.local = Local()
        self.shared = Shared(Server(url, "test", timeout_s), self.local, self.unknown.append)
        self._asked = 0
        self._name = f"{random.getrandbits(32):x}"

    def ask(self, policy: Policy, *took: int) -> Ask:
        self._asked += 1
        tokens = took or (1, 1, 0)
        return Ask(
            f"req_{self._name}_{self._asked}", policy, PERIODS, tokens[0], tokens[1], tokens[2]
        )

    async def admit(self, policy: Policy, *took: int) -> Grant | Refusal:
        return await self.shared.admit(self.ask(policy, *took))

    async def granted(self, policy: Policy, *took: int) -> Grant:
        verdict = await self.admit(policy, *took)
        assert isinstance(verdict, Grant), verdict
        return verdict

    async def read(self, policy: Policy) -> Reading:
        return (await self.shared.read(policy, PERIODS))[0]


@asynccontextmanager
async def a_process(url: str, timeout_s: float = PATIENT_S) -> AsyncIterator[Process]:
    process = Process(url, timeout_s)
    await process.shared.open()
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        await process.shared.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not true():  # noqa: ASYNC110 - a server's state has no event
            await asyncio.sleep(0.01)


async def until_settled(*processes: Process) -> None:
    """A read goes behind what was settled before."""
    for each in processes:
        await each.read(policy_of(each.local, key={"max_in_flight": 5}))


@asynccontextmanager
async def slow_way(
    server: RedisServer, path: Path, before: Callable[[bytes], Awaitable[None]]
) -> AsyncIterator[str]:
    """Stand in front of a server; let each call wait for what is to be before it."""

    async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while reply := await reader.read(1 << 20):
            writer.write(reply)

    async def pipe(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upstream_writer = await asyncio.open_unix_connection(
            server.url.partition("://")[2]
        )
        answers = asyncio.create_task(back(upstream, writer))
        try:
            while request := await client.read(1 << 20):
                await before(request)
                upstream_writer.write(request)
        finally:
            answers.cancel()
            writer.close()
            upstream_writer.close()

    async with await asyncio.start_unix_server(pipe, path):
        yield f"unix://{path}"
