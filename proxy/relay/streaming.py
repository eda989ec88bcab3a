"""Relay a stream to the client, chunk by chunk as it comes.

The one rule: nothing truncated looks complete. A stream that breaks ends with an `error` event where one may stand,
and otherwise with an aborted connection.
"""

import asyncio
import socket
import struct

import aiohttp
from aiohttp import web

from proxy.aiohttp_fast import TransparentResponse, UpstreamResponse
from proxy.causes import Cause
from proxy.errors import ClientStalled, ProxyError, UpstreamFailed, let_go
from proxy.exchange import Exchange, Phase
from proxy.progress import Progress
from proxy.protocol import sse
from proxy.relay.head import FROM_GATEWAY, refuse_unsendable, response_headers
from proxy.relay.pump import Pump
from proxy.upstreams.failures import READ_ERRORS, to_proxy_error
from proxy.upstreams.opening import Opening

_LINGER_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def relay(
    request: web.Request,
    exchange: Exchange,
    upstream: UpstreamResponse,
    opening: Opening,
    response: web.StreamResponse | None = None,
) -> web.StreamResponse:
    """Copy a stream to the client as it comes.

    A cancellation, which is the client leaving, ends it at once; the caller closes `upstream`.

    Args:
        request: whose client it goes to.
        exchange: notes what comes of it.
        upstream: the upstream's response.
        opening: of its stream.
        response: of which head and pings have gone out already; None: its head is made of the upstream's.
    """
    tap = opening.tap
    if response is None:
        fields = response_headers(exchange, upstream)
        refuse_unsendable(upstream.reason, fields)
        # nginx, as it is installed, would hold a stream back until it is whole.
        fields.setdefault("X-Accel-Buffering", "no")
        response = TransparentResponse(
            status=upstream.status, reason=upstream.reason, headers=fields
        )
        response[FROM_GATEWAY] = True
        exchange.response_started(upstream.status)
        await response.prepare(request)
    try:
        try:
            if opening.is_whole:
                exchange.bytes_out += len(opening.held)
                with exchange.waiting(Phase.CLIENT):
                    await response.write(opening.held)
            else:
                await Pump(request, exchange, upstream, response, opening).run()
        finally:
            _note_end(exchange, tap)
        if not tap.finished:
            raise UpstreamFailed(
                "the upstream ended its stream before the message was complete", Cause.UPSTREAM_CUT
            )
        if tap.failed:
            exchange.failed_upstream(tap.error)
        with exchange.waiting(Phase.CLIENT):
            await response.write_eof()
    except ConnectionError as lost:
        # The client's connection, found closed while writing; the upstream's failures are other exceptions.
        raise ConnectionResetError from lost
    except (*READ_ERRORS, ProxyError) as error:
        let_go(error)
        failure = to_proxy_error(error, exchange)
        await end_broken(request, exchange, response, tap, failure)
    return response


def _note_end(exchange: Exchange, tap: sse.Tap) -> None:
    """Note what a stream that said its end came to, whatever the client took of it."""
    if exchange.opaque or not tap.finished:
        return
    if not tap.failed:
        exchange.progress = Progress.COMPLETE
    elif not tap.usage and tap.told.model is None:
        exchange.progress = Progress.REFUSED


async def end_broken(
    request: web.Request,
    exchange: Exchange,
    response: web.StreamResponse,
    tap: sse.Tap,
    error: ProxyError,
) -> None:
    """End a stream that broke, so that no client takes it for a complete one."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    complete = tap.finished and tap.at_boundary
    if not complete:
        exchange.fail(error)
    if isinstance(error, ClientStalled):
        reset(request)
        return
    if not tap.at_boundary:
        _abort(transport, request)
        return
    try:
        with exchange.waiting(Phase.CLIENT):
            if not complete:
                event = sse.error_event(error.body(exchange.request_id))
                exchange.bytes_out += len(event)
                await response.write(event)
            await response.write_eof()
    except ProxyError as interruption:
        exchange.fail(interruption)
        reset(request)


def _abort(transport: asyncio.Transport, request: web.Request) -> None:
    """Close without the end that the framing promises."""
    if request.version < aiohttp.HttpVersion11:
        reset(request)
        return
    transport.close()
    # What the client has not read yet may still reach it, but must not keep the connection for ever.
    asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)


def reset(request: web.Request) -> None:
    """Close at once, whatever is still to be sent."""
    transport = request.transport
    if transport is None:
        return
    if request.version < aiohttp.HttpVersion11:
        # There the end of the connection is the end of the body: only a reset tells them apart.
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
