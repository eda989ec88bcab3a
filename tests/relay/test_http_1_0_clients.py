"""An HTTP/1.0 client knows a body's end only by the connection's: whole is a close, broken is a reset."""

import asyncio

import pytest

from proxy.exchange import Phase
from tests.relay.settled import waits_in
from tests.support.client import Response, connected, parse, received, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import EVENTS, SSE_HEAD, Script, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says, then_closes


async def got(script: Script, body: bytes = STREAM_BODY) -> tuple[Response, bool]:
    async with (
        gateway_before(script) as (_, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        writer.write(request(body=body, version=b"1.0"))
        async with asyncio.timeout(5):
            seen, reset = await received(reader)
    reply = parse(seen, reset=reset)
    assert reply is not None
    assert reply.values("transfer-encoding") == []
    return reply, reset


async def test_a_whole_stream_ends_with_a_close() -> None:
    reply, reset = await got(says(SSE_HEAD + b"".join(map(chunk, (*EVENTS, b"")))))
    assert not reset
    assert reply.ending == "message"


async def test_a_stream_broken_between_events_ends_with_an_error_event() -> None:
    reply, reset = await got(then_closes(SSE_HEAD + chunk(EVENTS[0])))
    assert not reset
    assert reply.ending == "error event"


@pytest.mark.parametrize("kill", ["fin", "rst"])
async def test_a_stream_broken_inside_an_event_ends_with_a_reset(kill: str) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1][:20]))
        await waits_in(gateway.gateway, Phase.RESPONSE_BODY)
        if kill == "rst":
            exchange.reset()
        else:
            exchange.writer.close()

    async with (
        gateway_before(script) as (_, gateway),
        connected(gateway.host, gateway.port) as (reader, writer),
    ):
        writer.write(request(body=STREAM_BODY, version=b"1.0"))
        _, reset = await received(reader)
    assert reset


async def test_a_message_comes_with_its_length() -> None:
    reply, reset = await got(says(answer()), BODY)
    assert reply.whole
    assert not reset
    assert reply.values("content-length") == [str(len(reply.body))]
