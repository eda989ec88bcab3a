"""A client that closes its sending side only, as `nc -N` does, is answered; one that has left is not waited for."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from tests.support.client import answers, request
from tests.support.gateways import STREAM_BODY, Running, config_for, running
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    RawUpstream,
    Script,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

GET = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"


async def sent_and_shut(gateway: Running, data: bytes) -> bytes:
    """Send, close the sending side, and read to the end."""
    reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
    writer.write(data)
    writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def gateway_before(script: Script) -> AsyncIterator[tuple[RawUpstream, Running]]:
    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        yield upstream, gateway


async def slow_message(exchange: UpstreamSide) -> None:
    await asyncio.sleep(0.3)  # far longer than the client's last byte takes
    await exchange.send(answer())


async def slow_stream(exchange: UpstreamSide) -> None:
    await asyncio.sleep(0.3)  # far longer than the client's last byte takes
    for part in (*map(chunk, EVENTS), chunk(b"")):
        await exchange.send((SSE_HEAD if part == chunk(EVENTS[0]) else b"") + part)


@pytest.mark.parametrize(
    "sent", [GET, GET * 3, request(path=b"/nowhere")], ids=["one", "three", "404"]
)
async def test_what_is_answered_at_once_is_answered(gateway: Running, sent: bytes) -> None:
    answered = answers(await sent_and_shut(gateway, sent))
    assert len(answered) == sent.count(b"HTTP/1.1")


async def test_a_message_that_takes_its_time_is_answered() -> None:
    async with gateway_before(slow_message) as (_, gateway):
        (answered,) = answers(await sent_and_shut(gateway, request()))
    assert answered.status == 200
    assert gateway.log[0].get("cause") is None


async def test_pipelined_messages_are_answered() -> None:
    async with gateway_before(slow_message) as (_, gateway):
        answered = answers(await sent_and_shut(gateway, request() * 2))
    assert [each.status for each in answered] == [200, 200]


async def test_a_stream_that_takes_its_time_is_relayed_to_its_end() -> None:
    async with gateway_before(slow_stream) as (_, gateway):
        received = await sent_and_shut(gateway, request(body=STREAM_BODY))
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert received.endswith(b"0\r\n\r\n")
    assert STREAM.rpartition(b"event: ")[2] in received


@pytest.mark.parametrize(
    "sent", [request()[:-5], request()[:30], b""], ids=["body", "head", "nothing"]
)
async def test_half_a_request_is_not_waited_for(gateway: Running, sent: bytes) -> None:
    assert await sent_and_shut(gateway, sent) == b""


async def test_a_client_of_http_1_0_that_shuts_its_sending_side_counts_as_gone() -> None:
    """It may not be sent what would tell; and proxies that speak HTTP/1.0 leave like this."""
    gone = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()
        gone.set()

    async with gateway_before(script) as (upstream, gateway):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        await upstream.arrived.wait()
        writer.write_eof()
        async with asyncio.timeout(5):
            await gone.wait()
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert gateway.log[0]["cause"] == "client_closed"


async def test_a_client_that_leaves_a_while_after_it_has_shut_is_noticed() -> None:
    """The probe that is sent at once cannot tell."""
    gone = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()
        gone.set()

    async with gateway_before(script) as (upstream, gateway):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(request())
        writer.write_eof()
        await upstream.arrived.wait()
        async with asyncio.timeout(5):
            await reader.readuntil(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        async with asyncio.timeout(5):
            await gone.wait()
    assert gateway.log[0]["cause"] == "client_closed"


async def test_a_client_gets_no_more_interim_responses_than_any_client_takes() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await asyncio.sleep(3)  # longer than it takes to send all of them
        await exchange.send(answer())

    async with gateway_before(script) as (_, gateway):
        received = await sent_and_shut(gateway, request())
    assert received.count(b"100 Continue") == 5
    assert answers(received)[-1].status == 200


async def test_no_interim_response_stands_inside_a_response() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await asyncio.sleep(1)  # several of them would be due
        for part in (*map(chunk, EVENTS[1:]), chunk(b"")):
            await exchange.send(part)

    async with gateway_before(script) as (_, gateway):
        received = await sent_and_shut(gateway, request(body=STREAM_BODY))
    assert b"100 Continue" not in received.partition(b"200 OK")[2]
    assert received.endswith(b"0\r\n\r\n")


async def test_a_head_that_will_never_be_whole_does_not_hold_the_connection(
    gateway: Running,
) -> None:
    async with asyncio.timeout(5):
        received = await sent_and_shut(gateway, request() + GET[:-2])
    assert [each.status for each in answers(received)] == [200]


async def test_nothing_is_written_behind_our_own_end(caplog: pytest.LogCaptureFixture) -> None:
    """A write to a side that is closed is an error of the loop, which no client may cause."""
    is_told = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await is_told.wait()
        await exchange.send(answer())

    async with gateway_before(script) as (upstream, gateway):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        async with asyncio.timeout(10):
            writer.write(request())
            await upstream.arrived.wait()
            for malformed in (b"no head\r\n\r\n", b"nor this\r\n\r\n"):
                writer.write(malformed)
                # Once another connection is served, this one has been read from, and its end been seen.
                await sent_and_shut(gateway, GET)
            is_told.set()
            received = await reader.read()
            writer.write_eof()
            await sent_and_shut(gateway, GET)
        writer.close()
        await writer.wait_closed()
    assert [each.status for each in answers(received)] == [200, 400]
    assert not [each for each in caplog.records if each.name == "asyncio"]
