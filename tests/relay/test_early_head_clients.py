"""With `early_head`, a client that leaves or does not read is noticed before the upstream has said anything."""

import asyncio
import gc
import json

from aiohttp import web

from proxy import Timeouts
from proxy.app import assemble
from proxy.exchange import Phase
from proxy.server.connection import Connection
from proxy.server.serve import listening
from tests.relay.early import PING, QUICK
from tests.relay.settled import settled, waits_in
from tests.support.client import connected, request
from tests.support.gateways import STREAM_BODY, config_for
from tests.support.raw import (
    SSE_HEAD,
    UpstreamSide,
    raw_upstream,
)
from tests.support.scripts import gateway_before, then_waits
from tests.support.sockets import narrow


async def test_a_client_that_leaves_while_it_waits_closes_the_upstreams_call() -> None:
    left = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await upstream.until_closed()
        left.set()

    async with gateway_before(script, early_head=True, timeouts=QUICK) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=STREAM_BODY))
            await client.until(PING)
            client.leave()
        async with asyncio.timeout(5):
            await left.wait()
        await settled(gateway, upstream, before)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "client_closed")


async def test_a_client_that_reads_nothing_is_sent_no_more_than_its_connection_takes() -> None:
    async with (
        gateway_before(then_waits(), early_head=True) as (upstream, gateway),
        connected(gateway.host, gateway.port, 1 << 12) as client,
    ):
        before = len(asyncio.all_tasks())
        await client.send(request(body=STREAM_BODY))
        await waits_in(gateway.gateway, Phase.RESPONSE_HEAD)
        (exchange,) = gateway.gateway.deadlines.in_flight
        (transport,) = (
            each.transport
            for each in gc.get_objects()
            if type(each) is Connection and each.transport is not None
        )
        narrow(transport)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined] # nothing else stops it

        async def quiet() -> None:
            assert exchange.on_quiet is not None
            exchange.on_quiet()
            await asyncio.sleep(0)

        while not transport.get_write_buffer_size():
            await quiet()
        sent = exchange.bytes_out
        for _ in range(100):
            await quiet()
        assert exchange.bytes_out <= sent + len(PING)
        client.leave()
        await settled(gateway, upstream, before)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "client_closed")


async def test_a_head_that_does_not_leave_is_bounded_as_a_client_that_reads_nothing() -> None:
    """An application that holds the gateway may wait before each head, for as long as it likes."""
    asked, lines = asyncio.Event(), list[bytes]()

    async def wait_for_ever(_request: web.Request, _response: web.StreamResponse) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def script(upstream: UpstreamSide) -> None:
        await asked.wait()
        await upstream.send(SSE_HEAD)

    async with raw_upstream(script) as upstream:
        timeouts = Timeouts(ping_after_s=0.05, idle_s=0.3)
        config = config_for(upstream.url, early_head=True, timeouts=timeouts)
        app = assemble(config, lines.append)
        app.on_response_prepare.append(wait_for_ever)
        async with listening(app, config) as ((host, port),), connected(host, port) as client:
            await client.send(request(body=STREAM_BODY))
            assert await client.until_closed() == b""
            async with asyncio.timeout(5):
                await upstream.all_closed.wait()
    assert [json.loads(line)["cause"] for line in lines] == ["client_stalled"]
