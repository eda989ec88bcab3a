"""Relay a stream to the client, chunk by chunk as it comes.

The one rule: nothing truncated looks complete. A stream that breaks ends with an `error` event where one may stand,
and otherwise with an aborted connection.
"""

import asyncio
import re
import socket
import struct

import aiohttp
from aiohttp import web

from proxy.aiohttp_fast.client import Answer
from proxy.errors import ClientStalled, ProxyError, UpstreamFailed
from proxy.exchange import Exchange, Wait
from proxy.protocol import headers, sse
from proxy.relay.head import refuse_unsendable, response_headers
from proxy.relay.pump import Pump
from proxy.upstreams.failures import READ_ERRORS, failure

_EVENT_STREAM = re.compile(r"\s*text/event-stream\s*(;|$)", re.IGNORECASE)
_LINGER_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def is_stream(answer: Answer) -> bool:
    """Tell whether an answer is to be copied chunk by chunk. An error never is, whatever it calls itself."""
    content_type = answer.headers.get(headers.CONTENT_TYPE, "")
    return answer.status == web.HTTPOk.status_code and bool(_EVENT_STREAM.match(content_type))


async def relay_stream(
    request: web.Request,
    exchange: Exchange,
    answer: Answer,
    echo_model: str | None,
) -> web.StreamResponse:
    """Copy a stream to the client as it comes.

    A cancellation, which is the client leaving, ends it at once; the caller closes `answer`.
    """
    crossing = response_headers(exchange, answer)
    refuse_unsendable(answer.reason, crossing)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=crossing)
    # What is compressed cannot be watched: such a stream passes as it is, and only its framing shows its end.
    tap = None if headers.CONTENT_ENCODING in answer.headers else sse.StreamTap(echo_model)
    exchange.stream = True
    exchange.usage = tap.usage if tap else None
    exchange.answered(answer.status)
    await response.prepare(request)
    try:
        await Pump(request, exchange, answer, response, tap).run()
        if tap.finished if tap is not None else _framed(answer):
            if tap is not None and tap.failed:
                exchange.cause = "upstream_error"
            exchange.waits_for(Wait.CLIENT)
            await response.write_eof()
            return response
        error: Exception = UpstreamFailed(
            "the upstream ended its stream before the message was complete", "upstream_cut"
        )
    except asyncio.CancelledError:
        error = exchange.interruption()
    except ConnectionError as lost:
        # The client's connection, found closed while writing; the upstream's failures are other exceptions.
        raise ConnectionResetError from lost
    except (*READ_ERRORS, ProxyError) as raised:
        error = raised
    finally:
        exchange.wait = Wait.NOTHING
        exchange.may_ping = False
    await _end_broken(request, exchange, response, tap, failure(error, exchange.upstream or ""))
    return response


def _framed(answer: Answer) -> bool:
    """Tell whether the end of an answer can be told from a cut."""
    return "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers


async def _end_broken(
    request: web.Request,
    exchange: Exchange,
    response: web.StreamResponse,
    tap: sse.StreamTap | None,
    error: ProxyError,
) -> None:
    """End a stream that broke, so that no client takes it for a complete one."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    complete = tap is not None and tap.finished
    if not complete:
        exchange.fail(error)
    if isinstance(error, ClientStalled):
        _reset(transport, request)
        return
    if tap is None or not tap.at_boundary:
        _abort(transport, request)
        return
    exchange.waits_for(Wait.CLIENT)
    try:
        if not complete:
            event = sse.error_event(error.body(exchange.request_id))
            exchange.bytes_out += len(event)
            await response.write(event)
        await response.write_eof()
    except asyncio.CancelledError:
        exchange.fail(failure(exchange.interruption(), exchange.upstream or ""))
        _reset(transport, request)
    finally:
        exchange.wait = Wait.NOTHING


def _abort(transport: asyncio.Transport, request: web.Request) -> None:
    """Close without the end that the framing promises."""
    if request.version < aiohttp.HttpVersion11:
        _reset(transport, request)
        return
    transport.close()
    # What the client has not read yet may still reach it, but must not keep the connection for ever.
    asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)


def _reset(transport: asyncio.Transport, request: web.Request) -> None:
    """Close at once, whatever is still to be sent."""
    if request.version < aiohttp.HttpVersion11:
        # There the end of the connection is the end of the body: only a reset tells them apart.
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
