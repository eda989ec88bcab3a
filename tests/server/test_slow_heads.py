"""A request's head must come whole and soon; a connection that waits for none is not in the way."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import pytest

from proxy import Timeouts
from tests.support.client import Client, connected, request
from tests.support.gateways import BODY, Running, config_for, running
from tests.support.raw import SSE_HEAD, STREAM, RawUpstream, UpstreamSide, chunk
from tests.support.scripts import gateway_before

HEAD_S = 0.3


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxy.server.connection")


def closed_for_its_head(caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether that is why a connection was closed, and not that it was idle."""
    return caplog.messages == ["closed a connection whose head took over 0.3 s"]


@pytest.fixture
async def gateway(upstream: RawUpstream) -> AsyncIterator[Running]:
    """Return a gateway that wants heads quickly."""
    async with running(
        config_for(upstream.url, timeouts=Timeouts(request_head_s=HEAD_S))
    ) as started:
        yield started


async def drip(client: Client, data: bytes) -> None:
    """Send one byte at a time, for longer than the head may take."""
    with contextlib.suppress(ConnectionError):
        for position in range(len(data)):
            await client.send(data[position : position + 1])
            await asyncio.sleep(0.02)  # the pace of the client is the test


@pytest.mark.parametrize("sent", [b"", b"P", request()[:60]], ids=["nothing", "a byte", "a part"])
async def test_an_incomplete_head_is_closed(
    gateway: Running, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    async with connected(gateway.host, gateway.port) as client:
        await client.send(sent)
        assert await client.until_closed() == b""
        assert time.monotonic() - started > HEAD_S * 0.9
    assert closed_for_its_head(caplog)


async def test_a_head_that_drips_is_closed(
    gateway: Running, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        dripping = asyncio.create_task(drip(client, request()))
        assert await client.until_closed() == b""
        await dripping
    assert closed_for_its_head(caplog)
    assert not upstream.requests


async def test_a_second_head_that_drips_is_closed(
    gateway: Running, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(request())
        assert (await client.answer()).status == 200
        dripping = asyncio.create_task(drip(client, request()))
        assert await client.until_closed() == b""
        await dripping
    assert closed_for_its_head(caplog)
    assert len(upstream.requests) == 1


PROBE = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
BEFORE = {
    "a probe": [PROBE],
    "probes": [PROBE * 3],
    "a message": [request()],
    "a body of its own": [request()[: -len(BODY)], BODY],
    "a body in two": [request()[:-9], request()[-9:]],
}


@pytest.mark.parametrize("packets", BEFORE.values(), ids=BEFORE)
async def test_a_part_of_a_head_behind_a_request_is_closed(
    gateway: Running, packets: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for packet in packets[:-1]:
            await client.send(packet)
            await asyncio.sleep(0.05)  # so that it is read alone
        started = time.monotonic()
        await client.send(packets[-1] + b"GET /healthz HT")
        assert (await client.until_closed()).count(b"HTTP/1.1 200") == b"".join(packets).count(
            b" HTTP/1.1\r\n"
        )
        assert time.monotonic() - started > HEAD_S * 0.9
    assert closed_for_its_head(caplog)


@pytest.mark.parametrize("packets", BEFORE.values(), ids=BEFORE)
async def test_a_whole_request_leaves_its_connection_open(
    gateway: Running, packets: list[bytes]
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for packet in packets:
            await client.send(packet)
            await asyncio.sleep(0.05)  # so that it is read alone
        for _ in range(b"".join(packets).count(b" HTTP/1.1\r\n")):
            assert (await client.answer()).status == 200
        await asyncio.sleep(HEAD_S * 2)  # nothing may happen in this time
        await client.send(request())
        assert (await client.answer()).status == 200


async def test_a_connection_kept_alive_may_pause_between_requests(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(2):
            await client.send(request())
            assert (await client.answer()).status == 200
            await asyncio.sleep(HEAD_S * 2)  # nothing may happen in this time
        await client.send(request())
        assert (await client.answer()).status == 200


async def test_an_answer_may_take_longer_than_a_head() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await asyncio.sleep(HEAD_S * 2)  # the answer's pace is the test
        await exchange.send(SSE_HEAD + chunk(STREAM) + chunk(b""))

    async with (
        gateway_before(script, timeouts=Timeouts(request_head_s=HEAD_S)) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request())
        assert b"message_stop" in await client.until(b"0\r\n\r\n")
