"""A client that leaves: the upstream learns it within 100 ms, whatever was going on.

They are counted in the CPU time of a loop that never rests, so what else the machine does is not in them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.relay.settled import settled, upstream_protocols
from tests.support.client import connected, request
from tests.support.gateways import BODY, STREAM_BODY, config_for, running
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, answer, chunk, reset
from tests.support.scripts import gateway_before, says

WITHIN_S = 0.1
Saying = Callable[[UpstreamSide], Awaitable[None]]


async def nothing(exchange: UpstreamSide) -> None:
    pass


async def head(exchange: UpstreamSide) -> None:
    await exchange.send(SSE_HEAD)


async def some_events(exchange: UpstreamSide) -> None:
    await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]))


async def half_an_event(exchange: UpstreamSide) -> None:
    await exchange.send(SSE_HEAD + chunk(EVENTS[0] + EVENTS[1][:20]))


async def half_a_message(exchange: UpstreamSide) -> None:
    await exchange.send(answer()[:-20])


@pytest.mark.parametrize("kill", ["fin", "rst"])
@pytest.mark.parametrize("saying", [nothing, head, some_events, half_an_event, half_a_message])
async def test_the_upstream_call_is_closed_within_100_ms(saying: Saying, kill: str) -> None:
    said = asyncio.Event()
    took: list[float] = []

    async def script(exchange: UpstreamSide) -> None:
        await saying(exchange)
        said.set()
        await exchange.until_closed()
        took.append(time.thread_time() - left)

    async with gateway_before(script) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        async with connected(gateway.host, gateway.port) as (reader, writer):
            writer.write(request(body=STREAM_BODY))
            await said.wait()
            if saying in (head, some_events, half_an_event):
                await reader.read(1)
            left = time.thread_time()
            if kill == "rst":
                reset(writer)
            else:
                writer.close()
            while not took and time.thread_time() - left < WITHIN_S:  # noqa: ASYNC110 - it never rests
                await asyncio.sleep(0)
            await settled(gateway, upstream, before)
    print(f"upstream call closed after {took[0] * 1e3:.1f} ms")  # noqa: T201 - a figure to look at
    assert took[0] < WITHIN_S
    (line,) = gateway.log
    assert line["cause"] == "client_closed"
    assert line["status"] == (200 if saying in (head, some_events, half_an_event) else None)


async def test_the_upstream_call_is_closed_while_the_request_is_still_going_out() -> None:
    """The upstream reads no more; what is still to be sent to it must not keep the connection."""
    body = BODY[:-1] + b', "padding": "%s"}' % (b"x" * 20_000_000)
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        async with asyncio.timeout(60):
            await closed.wait()
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 10)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        running(config_for(url)) as gateway,
        connected(gateway.host, gateway.port) as (_, writer),
    ):
        writer.write(request(body=body))
        await arrived.wait()
        await asyncio.sleep(0.05)  # the kernel's buffers fill up
        (connection,) = upstream_protocols()
        writer.close()
        await settled(gateway, None, 1 << 10)
        left = time.thread_time()
        while not connection._connection_lost_called and time.thread_time() - left < WITHIN_S:  # noqa: ASYNC110 - inside aiohttp
            await asyncio.sleep(0)
        closed.set()
        assert connection._connection_lost_called
    server.close()
    await server.wait_closed()


async def test_a_client_that_sends_its_next_request_early_does_not_look_gone() -> None:
    async with (
        gateway_before(says(SSE_HEAD + b"".join(map(chunk, EVENTS)) + chunk(b""))) as (_, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        writer.write(request(body=STREAM_BODY) + request(body=STREAM_BODY))
        seen = b""
        while seen.count(b"\r\n0\r\n\r\n") < 2:
            part = await reader.read(1 << 16)
            assert part, seen
            seen += part
    assert seen.count(b"HTTP/1.1 200 OK") == seen.count(b'"message_stop"') == 2
