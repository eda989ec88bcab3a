"""Streams pass as they come; silence, stalls and slow readers are bounded."""

import asyncio
import gc
import re

import pytest

from proxy import Timeouts
from proxy.server.connection import Connection
from tests.relay.settled import settled, upstream_protocols
from tests.support.client import ask, connected, parse, received, request
from tests.support.gateways import STREAM_BODY, config_for, running
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, chunk, raw_upstream
from tests.support.scripts import gateway_before, then_waits
from tests.support.sockets import narrow

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
DELTA = EVENTS[3].replace(b"Hi", b"x" * 4000)


async def seen_until(reader: asyncio.StreamReader, mark: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(5):
        while mark not in seen:
            part = await reader.read(1 << 16)
            assert part, seen
            seen += part
    return seen


async def test_bytes_pass_while_the_upstream_holds_the_rest() -> None:
    step = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        for part in (SSE_HEAD, *map(chunk, (*EVENTS[:2], EVENTS[2][:9], EVENTS[2][9:]))):
            await exchange.send(part)
            await step.wait()
            step.clear()
        await exchange.send(b"".join(map(chunk, (*EVENTS[3:], b""))))

    async with (
        gateway_before(script) as (_, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        writer.write(request(body=STREAM_BODY))
        for mark in (b"\r\n\r\n", b"message_start", b"content_block_start", EVENTS[2][:9]):
            await seen_until(reader, mark)
            step.set()
        await seen_until(reader, EVENTS[2][9:])
        step.set()
        await seen_until(reader, b"0\r\n\r\n")


async def test_silence_is_filled_with_pings_between_events() -> None:
    go = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]))
        await go.wait()
        await exchange.send(b"".join(map(chunk, (*EVENTS[3:], b""))))

    async with raw_upstream(script) as upstream:
        config = config_for(upstream.url, timeouts=Timeouts(ping_after_s=0.05))
        async with (
            running(config) as gateway,
            connected(gateway.host, gateway.port) as (reader, writer),
        ):
            writer.write(request(body=STREAM_BODY, headers={"connection": "close"}))
            seen = await seen_until(reader, PING)
            while seen.count(PING) < 3:
                seen += await seen_until(reader, PING)
            go.set()
            answer = parse(seen + (await received(reader))[0])
    assert answer is not None
    assert answer.ending == "message"
    assert answer.body.startswith(
        EVENTS[0].replace(b"claude-sonnet-4-6", b"anthropic/claude-sonnet-4.6") + EVENTS[1] + PING
    )
    assert answer.body.replace(PING, b"").endswith(b"".join(EVENTS[3:]))
    assert gateway.log[0]["bytes_out"] == len(answer.body)


@pytest.mark.parametrize("last", [EVENTS[3][:30], EVENTS[3] + EVENTS[6]], ids=["half", "stop"])
async def test_no_ping_inside_an_event_nor_after_the_last(last: bytes) -> None:
    timeouts = Timeouts(ping_after_s=0.02, idle_s=0.3)
    async with gateway_before(
        then_waits(SSE_HEAD + chunk(EVENTS[0]) + chunk(last)), timeouts=timeouts
    ) as (_, gateway):
        answer = await ask(gateway)
    assert PING not in answer.body
    assert answer.body.endswith(last)
    assert answer.whole == last.endswith(EVENTS[6])


@pytest.mark.parametrize("inside", [False, True])
async def test_a_stall_ends_in_an_error_event_or_inside_an_event_in_a_break(inside: bool) -> None:  # noqa: FBT001 - a parameter of the table
    async def script(exchange: UpstreamSide) -> None:
        last = EVENTS[1][:15] if inside else EVENTS[1]
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(last))
        await exchange.until_closed()

    async with gateway_before(script, timeouts=Timeouts(idle_s=0.1)) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        answer = await ask(gateway)
        await settled(gateway, upstream, before)
    assert answer.ending == ("broken" if inside else "error event")
    if not inside:
        assert b'"type":"timeout_error"' in answer.body
    assert gateway.log[0]["cause"] == "upstream_timeout"


async def test_pings_do_not_put_off_the_end_of_a_stall() -> None:
    idle_s = Timeouts().idle_s
    async with (
        gateway_before(
            then_waits(SSE_HEAD + chunk(EVENTS[0])), timeouts=Timeouts(ping_after_s=0.05)
        ) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(body=STREAM_BODY, headers={"connection": "close"}))
        seen = b""
        for _ in range(2):  # each after half of it
            seen += await client.until(PING)
            (exchange,) = gateway.gateway.deadlines.in_flight
            exchange.since_s -= idle_s / 2
        answer = parse(seen + await client.until_closed())
    assert answer is not None
    assert answer.ending == "error event"
    assert gateway.log[0]["cause"] == "upstream_timeout"


@pytest.mark.parametrize("inside", [False, True])
async def test_a_drain_ends_streams_in_an_error_event_or_a_break(inside: bool) -> None:  # noqa: FBT001 - a parameter of the table
    async def script(exchange: UpstreamSide) -> None:
        last = EVENTS[1][:15] if inside else EVENTS[1]
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(last))
        await exchange.until_closed()

    async with (
        gateway_before(script) as (upstream, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        before = len(asyncio.all_tasks())
        writer.write(request(body=STREAM_BODY, headers={"connection": "close"}))
        seen = await seen_until(reader, EVENTS[1][:15])
        gateway.gateway.deadlines.interrupt_all()
        answer = parse(seen + (await received(reader))[0])
        await settled(gateway, upstream, before)
    assert answer is not None
    assert answer.ending == ("broken" if inside else "error event")
    assert (b"overloaded_error" in answer.body) != inside
    assert gateway.log[0]["cause"] == "draining"


async def endless(exchange: UpstreamSide, go: asyncio.Event | None = None) -> None:
    """Push as much as is taken; `exchange.body` counts it."""
    exchange.writer.transport.set_write_buffer_limits(high=0)
    narrow(exchange.writer.transport)
    await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
    if go is not None:
        await go.wait()
    pushed = 0
    while True:
        await exchange.send(chunk(DELTA))
        pushed += len(DELTA)
        exchange.body = b"%d" % pushed


async def test_a_slow_reader_holds_the_upstream_back_and_loses_nothing() -> None:
    """What a stream may hold: two read buffers of 64 KiB, what one read takes, one write buffer of 64 KiB."""
    go = asyncio.Event()

    async with (
        gateway_before(lambda exchange: endless(exchange, go)) as (upstream, gateway),
        connected(gateway.host, gateway.port, 1 << 15) as (reader, writer),
    ):
        before = len(asyncio.all_tasks())
        writer.write(request(body=STREAM_BODY))
        await seen_until(reader, b"message_start")
        for protocol in (
            *upstream_protocols(),
            *(each for each in gc.get_objects() if type(each) is Connection and each.transport),
        ):
            narrow(protocol.transport)
        go.set()
        pushed, last = -1, -2
        while pushed != last:
            await asyncio.sleep(0.3)  # until nothing moves any more
            pushed, last = int(upstream.requests[0].body), pushed
        print("bytes under way to a slow reader:", pushed)  # noqa: T201 - a figure to look at
        assert pushed < 1 << 20
        seen = b""
        while len(seen) < 2 * pushed:
            seen += await reader.read(1 << 16)
        deltas = re.findall(rb'"text":"(x+)"', seen)
        assert len(deltas) > pushed / len(DELTA)
        assert {len(each) for each in deltas} == {4000}
        writer.transport.abort()
        await settled(gateway, upstream, before)
    assert gateway.log[0]["cause"] == "client_closed"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_client_that_reads_nothing_is_ended_after_idle_s(version: str) -> None:
    async with raw_upstream(endless) as upstream:
        config = config_for(upstream.url, timeouts=Timeouts(idle_s=0.3))
        async with (
            running(config) as gateway,
            connected(gateway.host, gateway.port, 1 << 12) as (reader, writer),
        ):
            before = len(asyncio.all_tasks())
            writer.write(request(body=STREAM_BODY, version=version.encode()))
            await gateway.log.until()
            await settled(gateway, upstream, before)
            data, reset = await received(reader)
    answer = parse(data, reset=reset)
    assert answer is not None
    assert not answer.whole
    assert gateway.log[0]["cause"] == "client_stalled"
    assert gateway.log[0]["status"] == 200


async def test_an_upstream_that_breaks_while_the_client_is_slow_leaves_no_connection() -> None:
    """Inside an event: the break has to reach the client, or the client's connection has to end all the same."""

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await exchange.send(b"".join(chunk(DELTA) for _ in range(64)) + chunk(DELTA[:50]))
        exchange.writer.close()

    async with raw_upstream(script) as upstream:
        config = config_for(upstream.url, timeouts=Timeouts(idle_s=0.3))
        async with (
            running(config) as gateway,
            connected(gateway.host, gateway.port, 1 << 12) as (reader, writer),
        ):
            before = len(asyncio.all_tasks())
            writer.write(request(body=STREAM_BODY))
            await gateway.log.until()
            await settled(gateway, upstream, before)
            answer = parse((await received(reader))[0])
    assert answer is not None
    assert not answer.whole
    assert gateway.log[0]["cause"] in {"upstream_cut", "client_stalled"}
