"""Answers that are read to their end before they go out, towards clients that do not take them."""

import asyncio

import pytest

from proxy import Timeouts
from tests.relay.settled import settled
from tests.support.client import connected, request
from tests.support.gateways import STREAM_BODY, Running
from tests.support.raw import UpstreamSide, answer
from tests.support.scripts import gateway_before, says

BIG = b'{"model": "claude-sonnet-4-6", "content": "%s"}' % (b"x" * (20 << 20))


async def big(exchange: UpstreamSide) -> None:
    await exchange.send(answer(BIG))


async def test_a_client_that_reads_nothing_of_a_big_message_is_disconnected() -> None:
    async with (
        gateway_before(big, timeouts=Timeouts(idle_s=0.2)) as (upstream, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        before = len(asyncio.all_tasks())
        writer.write(request(body=STREAM_BODY))
        await upstream.arrived.wait()
        assert (await logged(gateway))["cause"] == "client_stalled"
        received = await rest(reader)
        assert len(received) < len(BIG)
        await settled(gateway, None, before)


async def test_a_drain_waits_for_a_big_message_and_then_cuts_it() -> None:
    async with (
        gateway_before(big) as (_, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        writer.write(request(body=STREAM_BODY))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        gateway.gateway.deadlines.interrupt_all()
        assert (await logged(gateway))["cause"] == "draining"


async def logged(gateway: Running) -> dict[str, object]:
    """Wait until the one request has ended."""
    async with asyncio.timeout(5):
        await gateway.gateway.deadlines.idle()
    (line,) = gateway.log
    return line


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("length", [0, 1 << 20])
async def test_a_message_of_any_size_is_whole(length: int) -> None:
    body = b'{"model":"claude-sonnet-4-6","text":"%s"}' % (b"y" * length)

    async with (
        gateway_before(says(answer(body))) as (_, gateway),
        gateway.post() as response,
    ):
        received = await response.read()
    assert received == body.replace(b"claude-sonnet-4-6", b"anthropic/claude-sonnet-4.6")


async def test_a_client_that_reads_slowly_gets_all_of_a_big_message() -> None:
    body = b'{"text":"%s"}' % (b"z" * (12 << 20))

    timeouts = Timeouts(idle_s=0.6)
    async with (
        gateway_before(says(answer(body)), timeouts=timeouts) as (_, gateway),
        gateway.post() as response,
    ):
        received = 0
        async for piece in response.content.iter_chunked(1 << 16):
            received += len(piece)
    assert received == len(body)
    assert gateway.log[0]["bytes_out"] == len(body)
