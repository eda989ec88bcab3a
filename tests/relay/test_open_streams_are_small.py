"""A stream that is open does not hold the request's body: what it asked was sent."""

import asyncio
import contextlib
import gc
import tracemalloc

from tests.support.client import connected, request
from tests.support.gateways import STREAM_BODY
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, chunk
from tests.support.scripts import gateway_before

MANY = 30
LARGE = STREAM_BODY.replace(b"say hi", b"x" * (1 << 20))


async def held_by_open_streams(body: bytes) -> int:
    """Return the bytes that some open streams hold."""

    async def script(upstream: UpstreamSide) -> None:
        upstream.body = b""  # not to be counted
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        await upstream.until_closed()

    data = request(body=body)
    async with gateway_before(script) as (_, gateway), contextlib.AsyncExitStack() as stack:

        async def opened() -> None:
            client = await stack.enter_async_context(connected(gateway.host, gateway.port))
            await client.send(data)
            await client.until(b"message_start")

        await opened()  # what is made once and kept
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(MANY):
            await opened()
        await asyncio.sleep(0)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return after - before


async def test_with_megabytes_asked_they_hold_what_they_hold_with_a_line() -> None:
    tracemalloc.start()
    try:
        small = await held_by_open_streams(STREAM_BODY)
        large = await held_by_open_streams(LARGE)
    finally:
        tracemalloc.stop()
    assert large < 1.1 * small
