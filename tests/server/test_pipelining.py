"""One client's many requests at once do not hold the others'."""

import asyncio

from tests.support.client import talk
from tests.support.gateways import config_for, running
from tests.support.raw import RawUpstream

MANY = 300


async def test_each_of_many_pipelined_requests_gives_the_loop_a_turn(upstream: RawUpstream) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    get = b"GET /healthz HTTP/1.1\r\nHost: g\r\n%s\r\n"
    async with running(config_for(upstream.url)) as gateway:
        counting = asyncio.create_task(count())
        received = await talk(
            gateway.host, gateway.port, get % b"" * (MANY - 1) + get % b"Connection: close\r\n"
        )
        counting.cancel()
    assert received.count(b"HTTP/1.1 200 OK") == MANY
    assert turns >= MANY
