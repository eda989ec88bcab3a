"""Gateways behind a balancer are replaced one after the other: no request of those who keep connections fails."""

import asyncio
import collections
import contextlib
import itertools

import aiohttp

from proxy import Config
from proxy.server.serve import drain, leave
from tests.support.gateways import BODY, HEADERS, STREAM_BODY, Running, config_for, running
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

CLIENTS = 8
FOREVER_S = 60.0


class Replica:
    """One of the gateways, and the way to end it.

    Attributes:
        asked: how many requests are at it.
        settled: set when one has been answered, and none is at it.
        says_goodbye: set by an answer behind which it closes the connection.
    """

    def __init__(self) -> None:
        self._opened = contextlib.AsyncExitStack()
        self.asked = 0
        self.settled = asyncio.Event()
        self.says_goodbye = asyncio.Event()

    async def start(self, config: Config) -> None:
        self.gateway: Running = await self._opened.enter_async_context(running(config))

    async def close(self) -> None:
        await self._opened.aclose()


class Balancer:
    """Sends each request to the next replica in its rotation, by a connection that it keeps, and never twice."""

    def __init__(self, session: aiohttp.ClientSession, replicas: list[Replica]) -> None:
        self._session = session
        self._turns = itertools.count()
        self.rotation = replicas
        self.statuses: collections.Counter[int] = collections.Counter()

    async def ask(self) -> None:
        replica = self.rotation[next(self._turns) % len(self.rotation)]
        replica.asked += 1
        replica.settled.clear()
        async with self._session.post(_url(replica), data=BODY, headers=HEADERS) as response:
            await response.read()
        self.statuses[response.status] += 1
        if response.headers.get("Connection") == "close":
            replica.says_goodbye.set()
        replica.asked -= 1
        if not replica.asked:
            replica.settled.set()

    async def stream(self, replica: Replica) -> bytes:
        async with self._session.post(_url(replica), data=STREAM_BODY, headers=HEADERS) as response:
            return await response.read()

    async def is_ready(self, replica: Replica) -> bool:
        async with self._session.get(f"{replica.gateway.url}/readyz") as response:
            return response.status == 200


def _url(replica: Replica) -> str:
    return f"{replica.gateway.url}/v1/messages"


async def test_behind_a_balancer_that_keeps_connections_no_request_fails_while_all_are_replaced() -> (
    None
):
    """And a stream that one of them has begun is whole, though it ends while that drains."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        if b'"stream": true' not in upstream.body:
            await upstream.send(answer())
            return
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        begun.set()
        await may_end.wait()
        await upstream.send(chunk(b"".join(EVENTS[1:])) + chunk(b""))

    async with raw_upstream(script) as upstream, aiohttp.ClientSession() as session:
        config = config_for(upstream.url, echo_model=False)
        replicas = [Replica(), Replica()]
        for each in replicas:
            await each.start(config)
        balancer, is_over = Balancer(session, replicas), asyncio.Event()

        async def client() -> None:
            while not is_over.is_set():
                await balancer.ask()

        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(client())
            for old in tuple(replicas):
                begun.clear()
                may_end.clear()
                stream = tasks.create_task(balancer.stream(old))
                await begun.wait()
                assert not old.says_goodbye.is_set()
                go = asyncio.Event()
                leaving = tasks.create_task(leave(old.gateway.app, FOREVER_S, go))
                # The balancer has not noticed yet: who is sent there is served.
                await old.says_goodbye.wait()
                assert not await balancer.is_ready(old)
                balancer.rotation.remove(old)
                while old.asked:
                    await old.settled.wait()
                go.set()
                await leaving
                draining = tasks.create_task(drain(old.gateway.app, FOREVER_S, asyncio.Event()))
                await asyncio.sleep(0)  # so that it has begun
                assert old.gateway.gateway.draining
                may_end.set()
                await draining
                assert await stream == STREAM
                await old.close()
                new = Replica()
                await new.start(config)
                assert await balancer.is_ready(new)
                balancer.rotation.append(new)
            is_over.set()
        assert set(balancer.statuses) == {200}
        for each in balancer.rotation:
            await each.close()
