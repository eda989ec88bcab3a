"""Clients over TLS that leave, send too much, read nothing or speak something else."""

import asyncio
import contextlib
import subprocess
import sys
from typing import Any

import pytest

from proxy import Limits, Timeouts
from tests.server.over_tls import (
    connected,
    over_tls,
    served,
)
from tests.support.client import Client, received, request, unchunk
from tests.support.commands import ROOT
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for, running
from tests.support.pools import good
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    chunk,
)


async def _logged(gateway: Running) -> dict[str, Any]:
    """Wait for the first access line."""
    async with asyncio.timeout(30):
        await gateway.log.until()
    return gateway.log[-1]


def abort(client: Client) -> None:
    client.leave()


def close(client: Client) -> None:
    client.writer.close()


@pytest.mark.parametrize("leave", [abort, close])
async def test_the_upstream_learns_that_a_client_has_left(
    leave: object, caplog: pytest.LogCaptureFixture
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        asked.set()
        assert not (await received(upstream.reader))[0]
        left.set()

    async with asyncio.timeout(10), served(script) as (gateway, _):
        async with connected(gateway) as client:
            await client.send(request())
            await asked.wait()
            leave(client)  # type: ignore[operator] # one of the two above
            await left.wait()
        assert (await _logged(gateway))["cause"] == "client_closed"
    assert "eof_received" not in caplog.text


async def test_a_client_that_still_sends_can_read_its_refusal() -> None:
    async with served() as (gateway, upstream), connected(gateway) as client:
        await client.send(b"no HTTP\r\n\r\n" + b"x" * (1 << 20))
        assert (await client.answer()).status == 400
        async with asyncio.timeout(10):
            assert not await client.reader.read()
        assert not upstream.requests


async def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on() -> None:
    limits = Limits(max_body_bytes=1 << 10)
    async with served(limits=limits) as (gateway, upstream), connected(gateway) as client:
        await client.send(request(body=BODY + b" " * (1 << 20)))
        assert (await client.answer()).status == 413
        await client.send(request())
        assert (await client.answer()).status == 200
        assert len(upstream.requests) == 1


async def test_one_connection_too_many_is_told_so() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        asked.set()
        await go_on.wait()
        await good(upstream)

    async with (
        served(script, limits=Limits(max_connections=1)) as (gateway, _),
        connected(gateway) as first,
    ):
        await first.send(request())
        await asked.wait()
        async with connected(gateway) as second:
            await second.send(request())
            assert (await second.answer()).status == 529
            async with asyncio.timeout(10):
                assert not await second.reader.read()
        go_on.set()
        assert (await first.answer()).status == 200


async def test_who_does_not_speak_tls_is_not_answered_and_nothing_is_written_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (gateway, _):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(request())
        async with asyncio.timeout(10):
            assert b"HTTP/1.1" not in (await received(reader))[0]
        writer.close()
        assert not gateway.log
    assert not caplog.records


async def test_who_does_not_finish_the_handshake_is_let_go_after_the_time_for_a_head() -> None:
    async with served(timeouts=Timeouts(request_head_s=0.2)) as (gateway, _):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        async with asyncio.timeout(10):
            await received(reader)
        writer.close()


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(STREAM[: -len(EVENTS[-1])]))
        with contextlib.suppress(ConnectionError):
            while True:
                await upstream.send(chunk(EVENTS[3] * 100))

    timeouts = Timeouts(idle_s=0.3)
    async with served(script, timeouts=timeouts) as (gateway, _), connected(gateway) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is one that reads
        await client.send(request(body=STREAM_BODY))
        # By the clock of its exchange, or by that of its connection: a tenth of a third of a second apart.
        assert (await _logged(gateway))["cause"] in {"client_stalled", "client_closed"}


async def test_a_client_that_reads_slowly_has_all_of_it_before_the_connection_closes() -> None:
    text = EVENTS[3] * 10_000
    events = b"".join(EVENTS[:3]) + text + b"".join(EVENTS[4:])

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(events) + chunk(b""))

    async with served(script) as (gateway, _), connected(gateway) as client:
        await client.send(request(b"connection: close", body=STREAM_BODY))
        everything = bytearray()
        async with asyncio.timeout(30):
            while part := await client.reader.read(1 << 16):
                everything += part
                await asyncio.sleep(0.005)  # the pace of the client is the test
        relayed, whole = unchunk(bytes(everything).partition(b"\r\n\r\n")[2])
        assert (relayed.count(EVENTS[3]), whole) == (10_000, True)


@pytest.mark.parametrize("encrypted", [True, False], ids=["TLS", "no TLS"])
async def test_the_image_finds_it_healthy(*, encrypted: bool) -> None:
    config = over_tls("http://127.0.0.1:9") if encrypted else config_for("http://127.0.0.1:9")
    script = ROOT / "deploy" / "healthcheck.py"
    async with running(config) as gateway:
        for path, status in (("/healthz", 0), ("/nowhere", 1)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-IS", script, str(gateway.port), path, stderr=subprocess.PIPE
            )
            _, said = await process.communicate()
            assert (process.returncode, b"Traceback" in said) == (status, False), said
