"""Relay an answer that is read to its end before a byte of it goes out: messages without streaming, counts, errors.

So a failure of the upstream, wherever it comes, is still an error response.
"""

from collections.abc import Sequence

from aiohttp import web

from proxy import errors
from proxy.aiohttp_fast import TransparentResponse, UpstreamResponse, take_whole, whole_response
from proxy.causes import Cause
from proxy.errors import ClientStalled, Draining, UpstreamFailed
from proxy.exchange import Exchange, Phase
from proxy.limits.wording import fields_of
from proxy.progress import Progress
from proxy.protocol import message
from proxy.protocol.message import Echo
from proxy.relay.head import (
    FROM_GATEWAY,
    headers_and_lines,
    refuse_unsendable,
    unsendable,
)
from proxy.upstreams.failures import READ_ERRORS, to_proxy_error
from proxy.upstreams.responses import is_encoded

MAX_BYTES = 64 << 20

_PIECE_BYTES = 1 << 18


async def relay(
    request: web.Request,
    exchange: Exchange,
    upstream: UpstreamResponse,
    echo: Echo | None,
    begun: Sequence[bytes] = (),
) -> web.StreamResponse:
    """Read an upstream's response and give it to the client.

    Args:
        request: whose client it goes to.
        exchange: notes what comes of it.
        upstream: the upstream's response.
        echo: which model to name.
        begun: what was read of it already.

    Raises:
        UpstreamFailed: it broke off, is over `MAX_BYTES`, or is a success and not JSON.
        UpstreamTimeout: it fell silent.
    """
    # Nearly every short answer has come whole.
    whole = None if begun else take_whole(upstream.content)
    if whole is None:
        body = await read(exchange, upstream, begun)
    else:
        _refuse_too_large(len(whole))
        body = whole
    status, reason = upstream.status, upstream.reason
    is_error = not upstream.is_success
    if upstream.is_success and is_encoded(upstream):
        exchange.progress, exchange.opaque = Progress.COMPLETE, True
    elif upstream.is_success:
        body, is_error = take(exchange, body, echo)
    fields, lines = headers_and_lines(exchange, upstream)
    if is_error:
        exchange.failed_upstream(message.read_error(body), fields.get(errors.RETRY_AFTER))
    exchange.response_started(status)
    response: web.StreamResponse
    is_short = 0 < len(body) <= _PIECE_BYTES
    if is_short:
        response = whole_response(status, reason, fields, body, lines)
        exchange.bytes_out = len(body)
    else:
        fields.extend(fields_of(lines))
        refuse_unsendable(reason, fields)
        response = TransparentResponse(status=status, reason=reason, headers=fields)
        response.content_length = len(body)
    response[FROM_GATEWAY] = True
    try:
        with exchange.waiting(Phase.CLIENT):
            await response.prepare(request)
        if not is_short:
            await _send(exchange, response, body)
    except ValueError:
        raise unsendable() from None
    except (ClientStalled, Draining) as interruption:
        # Its length tells the client that the response is cut.
        exchange.fail(interruption)
        if request.transport is not None:
            request.transport.abort()
    return response


def take(exchange: Exchange, body: bytes, echo: Echo | None) -> tuple[bytes, bool]:
    """Take what a success says, and return the body to send, and whether it is an error all the same.

    Raises:
        UpstreamFailed: it is not a JSON object.
    """
    answer = message.read(body, echo, tell=exchange.reckoned)
    exchange.usage, exchange.told = answer.usage, answer.told
    exchange.progress = Progress.REFUSED if answer.is_error else Progress.COMPLETE
    return answer.body, answer.is_error


async def _send(exchange: Exchange, response: web.StreamResponse, body: bytes) -> None:
    """Send the body behind its head; each piece that the client takes begins its deadline anew."""
    for start in range(0, len(body), _PIECE_BYTES):
        piece = body[start : start + _PIECE_BYTES]
        exchange.bytes_out += len(piece)
        with exchange.waiting(Phase.CLIENT):
            await response.write(piece)
    with exchange.waiting(Phase.CLIENT):
        await response.write_eof()


async def read(
    exchange: Exchange, upstream: UpstreamResponse, begun: Sequence[bytes] = ()
) -> bytes:
    """Read an upstream's response to its end, of which some was read already.

    Raises:
        UpstreamFailed: it broke off, or is over `MAX_BYTES`.
        UpstreamTimeout: it fell silent.
    """
    content = upstream.content
    parts = list(begun)
    size = sum(map(len, parts))
    try:
        while not content.at_eof():
            if content.is_eof():
                part = content.read_nowait()
            else:
                with exchange.waiting(Phase.RESPONSE_BODY):
                    part = await content.readany()
            size += len(part)
            _refuse_too_large(size)
            parts.append(part)
    except READ_ERRORS as error:
        raise to_proxy_error(error, exchange) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _refuse_too_large(size: int) -> None:
    if size > MAX_BYTES:
        raise UpstreamFailed("the upstream's answer is too large", Cause.UPSTREAM_TOO_LARGE)
