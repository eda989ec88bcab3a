"""A body must come at a least rate: a byte now and then holds nothing for ever.

Nobody waits here: once a part of a body has come, it is as if that had been a while ago.
"""

import asyncio
import time

import pytest

from proxy import Limits, Timeouts
from proxy.exchange import Phase
from tests.support.client import connected, request
from tests.support.gateways import BODY, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import raw_refusal

IDLE_S = Timeouts().request_body_idle_s
PADDED = BODY[:1] + b" " * 200 + BODY[1:]


async def after(gateway: Running, bytes_in: int, pause_s: float) -> None:
    """Wait for so many bytes of the one body under way, and let the gateway judge it a while later."""
    deadlines = gateway.gateway.deadlines
    async with asyncio.timeout(20):
        while not any(  # noqa: ASYNC110 - what has come of a body has no event
            each.phase is Phase.REQUEST_BODY and each.bytes_in == bytes_in
            for each in deadlines.in_flight
        ):
            await asyncio.sleep(0)
    (exchange,) = deadlines.in_flight
    exchange.since_s -= pause_s
    exchange.body_since_s -= pause_s
    deadlines._judge(time.monotonic())


@pytest.mark.parametrize("chunked", [False, True], ids=["a length", "chunks"])
async def test_a_body_that_comes_a_byte_now_and_then_is_refused(*, chunked: bool) -> None:
    config = config_for("http://127.0.0.1:1", limits=Limits(min_body_bytes_per_s=1000))
    head, _, _ = request(body=bytes(1000)).partition(b"\r\n\r\n")
    if chunked:
        head = head.replace(b"content-length: 1000", b"transfer-encoding: chunked")
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        await client.send(head + b"\r\n\r\n" + (b"3e8\r\n" if chunked else b""))
        for count in (1, 2):
            await client.send(b" ")
            await after(gateway, count, IDLE_S * 0.6)
        error = raw_refusal(await client.answer(), 408, "timeout_error")
    assert "less than 1000 bytes per second" in error["message"]
    assert gateway.log[0]["cause"] == "request_body_timeout"


@pytest.mark.parametrize("rate", [0, 1], ids=["any rate", "fast enough"])
async def test_a_body_that_keeps_coming_may_take_its_time(upstream: RawUpstream, rate: int) -> None:
    config = config_for(upstream.url, limits=Limits(min_body_bytes_per_s=rate))
    head, _, body = request(body=PADDED).partition(b"\r\n\r\n")
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        await client.send(head + b"\r\n\r\n")
        for end in range(30, len(body), 30):
            await client.send(body[end - 30 : end])
            await after(gateway, end, IDLE_S * 0.6)
        await client.send(body[end:])
        assert (await client.answer()).status == 200
