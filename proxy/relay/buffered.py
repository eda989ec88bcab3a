"""Relay an answer that is read to its end before a byte of it goes out: messages without streaming, counts, errors.

So a failure of the upstream, wherever it comes, is still an error response.
"""

from aiohttp import HttpVersion10, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import _serialize_headers
from multidict import CIMultiDict

from proxy.aiohttp_fast.client import UpstreamResponse
from proxy.causes import Cause
from proxy.errors import ClientStalled, Draining, UpstreamFailed
from proxy.exchange import Exchange, Phase
from proxy.protocol import headers, message
from proxy.protocol.message import Echo
from proxy.relay.head import refuse_unsendable, response_headers, unsendable
from proxy.upstreams.failures import READ_ERRORS, to_proxy_error

MAX_BYTES = 64 << 20

_PIECE_BYTES = 1 << 18


class _OneWrite(web.StreamResponse):
    """A response with a body, complete when it is prepared: head and body leave in one write.

    aiohttp's own takes twenty calls to decide what is settled here. Measured: see docs/performance.md.
    """

    def __init__(
        self, status: int, reason: str | None, headers: CIMultiDict[str], body: bytes
    ) -> None:
        """Take the upstream's response; the headers are changed. `body` is not empty."""
        super().__init__(status=status, reason=reason, headers=headers)
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it.

        Raises:
            UpstreamFailed: the head cannot be sent on.
        """
        if self._eof_sent:
            return None
        fields, body, keep_alive = self.headers, self._whole, request.keep_alive
        fields[hdrs.CONTENT_LENGTH] = str(len(body))
        if hdrs.DATE not in fields:
            fields[hdrs.DATE] = rfc822_formatted_time()
        version = request.version
        if not keep_alive:
            fields[hdrs.CONNECTION] = "close"
        elif version == HttpVersion10:
            fields[hdrs.CONNECTION] = "keep-alive"
        self._keep_alive = keep_alive
        await request._prepare_hook(self)  # noqa: SLF001 - signals of the application that holds the gateway
        status_line = f"HTTP/{version.major}.{version.minor} {self.status} {self.reason}"
        try:
            head = _serialize_headers(status_line, fields)
        except ValueError:
            raise unsendable() from None
        transport, writer = request.transport, request.writer
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(head + body)
        writer.output_size += len(head) + len(body)
        self._eof_sent = True
        await writer.drain()
        return writer


async def relay(
    request: web.Request,
    exchange: Exchange,
    upstream: UpstreamResponse,
    echo: Echo | None,
) -> web.StreamResponse:
    """Read an upstream's response and give it to the client.

    Raises:
        UpstreamFailed: it broke off, is over `MAX_BYTES`, or is a success and not JSON.
        UpstreamTimeout: it fell silent.
    """
    body = await _read(exchange, upstream)
    status, reason = upstream.status, upstream.reason
    if status == web.HTTPOk.status_code and headers.CONTENT_ENCODING not in upstream.headers:
        exchange.usage, body = message.read(body, echo)
    fields = response_headers(exchange, upstream)
    if status >= web.HTTPBadRequest.status_code:
        exchange.cause = Cause.UPSTREAM_ERROR
    exchange.response_started(status)
    response: web.StreamResponse
    if 0 < len(body) <= _PIECE_BYTES:
        response = _OneWrite(status, reason, fields, body)
    else:
        refuse_unsendable(reason, fields)
        response = web.StreamResponse(status=status, reason=reason, headers=fields)
    try:
        await _send(request, exchange, response, body)
    except (ClientStalled, Draining) as interruption:
        # Its length tells the client that the response is cut.
        exchange.fail(interruption)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _send(
    request: web.Request, exchange: Exchange, response: web.StreamResponse, body: bytes
) -> None:
    """Send the response; each piece that the client takes begins its deadline anew."""
    if isinstance(response, _OneWrite):
        exchange.bytes_out = len(body)
        with exchange.waiting(Phase.CLIENT):
            await response.prepare(request)
        return
    response.content_length = len(body)
    with exchange.waiting(Phase.CLIENT):
        await response.prepare(request)
    for start in range(0, len(body), _PIECE_BYTES):
        piece = body[start : start + _PIECE_BYTES]
        exchange.bytes_out += len(piece)
        with exchange.waiting(Phase.CLIENT):
            await response.write(piece)
    with exchange.waiting(Phase.CLIENT):
        await response.write_eof()


async def _read(exchange: Exchange, upstream: UpstreamResponse) -> bytes:
    content = upstream.content
    parts: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            if content.is_eof():
                part = content.read_nowait()
            else:
                with exchange.waiting(Phase.RESPONSE_BODY):
                    part = await content.readany()
            size += len(part)
            if size > MAX_BYTES:
                raise UpstreamFailed("the upstream's answer is too large", Cause.UPSTREAM_TOO_LARGE)
            parts.append(part)
    except READ_ERRORS as error:
        raise to_proxy_error(error, exchange.upstream) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
