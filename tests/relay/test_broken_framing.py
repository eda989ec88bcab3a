"""Framing that breaks after a body has begun, and answers that are none."""

import asyncio

import pytest

from proxy.exchange import Phase
from tests.relay.settled import waits_in
from tests.support.gateways import STREAM_BODY
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says, then_waits

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_chunk_size_that_is_none_ends_a_whole_answer_at_once() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(CHUNKED + chunk(b'{"id":'))
        await waits_in(gateway.gateway, Phase.RESPONSE_BODY)
        await exchange.send(b"zz\r\n")
        await exchange.until_closed()

    async with gateway_before(script) as (_, gateway):
        async with asyncio.timeout(5), gateway.post() as response:
            assert response.status == 502
        assert gateway.log[0]["cause"] == "upstream_cut"


async def test_a_chunk_size_that_is_none_ends_a_stream_at_once() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await waits_in(gateway.gateway, Phase.RESPONSE_BODY)
        await exchange.send(b"zz\r\n")
        await exchange.until_closed()

    async with gateway_before(script) as (_, gateway):
        async with asyncio.timeout(5), gateway.post(STREAM_BODY) as response:
            received = await response.read()
        assert b"event: error\n" in received
        assert gateway.log[0]["cause"] == "upstream_cut"


@pytest.mark.parametrize("status", [b"099 X", b"000 X", b"101 X"])
async def test_a_status_that_is_none_is_not_waited_out(status: bytes) -> None:
    async with (
        asyncio.timeout(5),
        gateway_before(then_waits(answer(b"{}", status))) as (_, gateway),
        gateway.post() as response,
    ):
        assert response.status == 502


async def test_an_interim_answer_is_waited_out() -> None:
    async with (
        gateway_before(says(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer())) as (
            _,
            gateway,
        ),
        gateway.post() as response,
    ):
        assert response.status == 200
