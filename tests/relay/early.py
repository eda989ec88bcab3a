"""A client that asked for a stream of a gateway with `early_head`, and what it got."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from proxy import Timeouts
from proxy.exchange import Exchange
from tests.relay.settled import settled
from tests.support.client import Response, connected, parse, received, request
from tests.support.gateways import STREAM_BODY, Running
from tests.support.raw import (
    STREAM,
    UpstreamSide,
)
from tests.support.scripts import gateway_before

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
QUICK = Timeouts(ping_after_s=0.05)
ECHOED = STREAM.replace(b"claude-sonnet-4-6", b"anthropic/claude-sonnet-4.6")
OWN = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_up"}'
INDENTED = json.dumps(json.loads(OWN), indent=2).encode().replace(b"\n", b"\r\n")

Step = Callable[[UpstreamSide], Awaitable[None]]


async def after_pings(
    step: Step,
    *,
    pings: int = 2,
    timeouts: Timeouts = QUICK,
    body: bytes = STREAM_BODY,
    version: bytes = b"1.1",
    then: Callable[[Exchange], None] = lambda _: None,
) -> tuple[Response, Running]:
    """Ask for a stream; let the upstream take its step, and do what comes then, once the client has seen pings."""
    seen_enough = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await seen_enough.wait()
        await step(upstream)

    async with (
        gateway_before(script, early_head=True, timeouts=timeouts) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        before = len(asyncio.all_tasks())
        await client.send(
            request(body=body, version=version, headers={"connection": "close"}),
        )
        seen = b""
        for _ in range(pings):
            seen += await client.until(PING)
        (exchange,) = gateway.gateway.deadlines.in_flight
        then(exchange)
        seen_enough.set()
        async with asyncio.timeout(10):
            rest, reset = await received(client.reader)
        response = parse(seen + rest, reset=reset)
        upstream.requests[0].writer.close()
        await settled(gateway, upstream, before)
    assert response is not None
    return response, gateway


def the_error(response: Response) -> dict[str, object]:
    """Return the error that a stream consists of, besides pings."""
    events = response.body.replace(PING, b"")
    assert events.startswith(b"event: error\n"), events
    assert events.endswith(b"\n\n")
    assert events.count(b"event: ") == 1
    lines = [line for line in events.split(b"\n") if line.startswith(b"data: ")]
    error: dict[str, object] = json.loads(b"\n".join(line[6:] for line in lines))
    assert response.ending == "error event"
    return error
