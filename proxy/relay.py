"""Copy an upstream's answer to the client: whole when it is JSON, chunk by chunk when it is a stream.

The one rule: nothing truncated looks complete. Before the answer's first byte a failure is an error response.
After it, it is an `error` event where one may stand, and otherwise an aborted connection.
"""

import asyncio
import re
import socket
import struct

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict

from proxy import headers, json_members, sse
from proxy.errors import REQUEST_ID, ClientStalled, ProxyError, UpstreamFailed
from proxy.exchange import Exchange, PingDueError, Wait
from proxy.upstream import failure

MAX_WHOLE_BYTES = 64 << 20

_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"
_LINGER_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_READ_ERRORS = (aiohttp.ClientError, OSError)


def is_stream(answer: aiohttp.ClientResponse) -> bool:
    """Tell whether an answer is to be copied chunk by chunk."""
    return answer.content_type == _EVENT_STREAM


async def read_whole(exchange: Exchange, answer: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end.

    Raises:
        UpstreamFailed: it broke off, or is over `MAX_WHOLE_BYTES`.
        UpstreamTimeout: it fell silent.
    """
    content = answer.content
    parts: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            exchange.waits_for(Wait.RESPONSE_BODY)
            part = await content.readany()
            size += len(part)
            if size > MAX_WHOLE_BYTES:
                raise UpstreamFailed("the upstream's answer is too large", "upstream_too_large")
            parts.append(part)
    except asyncio.CancelledError:
        raise exchange.interruption() from None
    except _READ_ERRORS as error:
        raise failure(error, exchange.upstream or "") from error
    finally:
        exchange.wait = Wait.NOTHING
    return parts[0] if len(parts) == 1 else b"".join(parts)


def whole_response(
    exchange: Exchange, answer: aiohttp.ClientResponse, body: bytes, echo_model: str | None
) -> web.Response:
    """Build the client's response from an upstream's whole answer, its bytes untouched but for the echoed model.

    Raises:
        UpstreamFailed: a success that says it is JSON and is not.
    """
    encoded = headers.CONTENT_ENCODING in answer.headers
    if answer.status == web.HTTPOk.status_code and answer.content_type == _JSON and not encoded:
        body = _observed(exchange, body, echo_model)
    crossing = _headers(exchange, answer)
    if answer.status >= web.HTTPBadRequest.status_code:
        exchange.cause = "upstream_error"
    exchange.bytes_out = len(body)
    exchange.answered(answer.status)
    return web.Response(
        status=answer.status,
        reason=answer.reason,
        headers=crossing,
        body=body,
    )


def _headers(exchange: Exchange, answer: aiohttp.ClientResponse) -> CIMultiDict[str]:
    crossing = headers.inbound(answer.headers)
    # aiohttp reads such headers and refuses to write them, when it is too late for an answer.
    if _CONTROL.search("".join((answer.reason or "", *crossing.keys(), *crossing.values()))):
        raise UpstreamFailed("the upstream's headers are not HTTP", "upstream_garbage")
    crossing.setdefault(REQUEST_ID, exchange.request_id)
    return crossing


def _observed(exchange: Exchange, body: bytes, echo_model: str | None) -> bytes:
    try:
        members = json_members.read(body)
        exchange.usage = msgspec.json.decode(members.get("usage", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed("the upstream's answer is not JSON", "upstream_garbage") from error
    if echo_model is None or "model" not in members:
        return body
    return json_members.replace(body, members, "model", msgspec.json.encode(echo_model))


async def relay_stream(
    request: web.Request,
    exchange: Exchange,
    answer: aiohttp.ClientResponse,
    echo_model: str | None,
) -> web.StreamResponse:
    """Copy a stream to the client as it comes.

    A cancellation, which is the client leaving, ends it at once; the caller closes `answer`.
    """
    response = web.StreamResponse(
        status=answer.status, reason=answer.reason, headers=_headers(exchange, answer)
    )
    # What is compressed cannot be watched: such a stream passes as it is, and only its framing shows its end.
    tap = None if headers.CONTENT_ENCODING in answer.headers else sse.StreamTap(echo_model)
    exchange.stream = True
    exchange.usage = tap.usage if tap else None
    exchange.answered(answer.status)
    await response.prepare(request)
    try:
        await _copy(exchange, answer.content, response, tap)
        if tap is None or tap.finished:
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
    except (*_READ_ERRORS, ProxyError) as raised:
        error = raised
    finally:
        exchange.wait = Wait.NOTHING
        exchange.may_ping = False
    await _end_broken(request, exchange, response, tap, failure(error, exchange.upstream or ""))
    return response


async def _copy(
    exchange: Exchange,
    content: aiohttp.StreamReader,
    response: web.StreamResponse,
    tap: sse.StreamTap | None,
) -> None:
    """The hot loop: a chunk in, the same chunk out."""
    while True:
        exchange.may_ping = tap is not None and tap.at_boundary and not tap.finished
        exchange.waits_for(Wait.RESPONSE_BODY)
        try:
            chunk = await content.readany()
        except asyncio.CancelledError:
            reason = exchange.interruption()
            if not isinstance(reason, PingDueError):
                raise reason from None
            out = sse.PING
        else:
            if not chunk:
                break
            out = chunk if tap is None else tap.feed(chunk)
        if out:
            exchange.bytes_out += len(out)
            exchange.waits_for(Wait.CLIENT)
            await response.write(out)
    if tap is not None and (rest := tap.rest()):
        exchange.bytes_out += len(rest)
        exchange.waits_for(Wait.CLIENT)
        await response.write(rest)


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
