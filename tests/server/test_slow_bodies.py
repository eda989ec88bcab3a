"""A body must come at a least rate: a byte now and then holds nothing for ever."""

import asyncio

import pytest

from proxy import Limits, Timeouts
from tests.support.client import Client, connected, request
from tests.support.gateways import BODY, config_for, running
from tests.support.raw import Exchange, answer, raw_upstream
from tests.support.refusals import raw_refusal


async def dribble(client: Client, pause_s: float) -> None:
    """Send a byte now and then, for ever."""
    while True:
        await client.send(b" ")
        await asyncio.sleep(pause_s)  # the pace of the client is the test


@pytest.mark.parametrize("chunked", [False, True], ids=["a length", "chunks"])
async def test_a_body_that_comes_a_byte_now_and_then_is_refused(*, chunked: bool) -> None:
    config = config_for(
        "http://127.0.0.1:1",
        timeouts=Timeouts(request_body_idle_s=0.3),
        limits=Limits(min_body_bytes_per_s=1000),
    )
    head, _, _ = request(body=bytes(1000)).partition(b"\r\n\r\n")
    if chunked:
        head = head.replace(b"content-length: 1000", b"transfer-encoding: chunked")
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        await client.send(head + b"\r\n\r\n" + (b"3e8\r\n" if chunked else b""))
        sending = asyncio.create_task(dribble(client, 0.05))
        error = raw_refusal(await client.answer(), 408, "timeout_error")
        sending.cancel()
    assert "less than 1000 bytes per second" in error["message"]
    assert gateway.log[0]["cause"] == "request_body_timeout"


async def test_a_body_that_comes_fast_enough_may_take_its_time() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as upstream:
        config = config_for(
            upstream.url,
            timeouts=Timeouts(request_body_idle_s=0.3),
            limits=Limits(min_body_bytes_per_s=100),
        )
        data = request(body=BODY[:1] + b" " * 200 + BODY[1:])
        async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
            head, _, body = data.partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            for start in range(0, len(body), 30):
                await client.send(body[start : start + 30])
                await asyncio.sleep(0.05)  # the pace is what is tested: about 600 bytes a second
            assert (await client.answer()).status == 200
