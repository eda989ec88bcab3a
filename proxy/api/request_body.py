"""Read a request's body: bounded while it arrives and while it is decoded, never waited for without end."""

import asyncio
import io
import time

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiMapping

from proxy.aiohttp_fast import take_whole
from proxy.body_memory import SMALL_BYTES, BodyMemory, Permit
from proxy.errors import (
    ExpectationFailed,
    InvalidRequest,
    RequestTooLarge,
    UnsupportedMedia,
)
from proxy.exchange import Exchange, Phase
from proxy.protocol import headers
from proxy.protocol.content_encoding import DECODED, decode_steps, encodings

_JSON = headers.JSON
_UNDECLARED_BYTES = 1 << 20
_GROWN_BYTES = 1 << 21
_MAX_LABEL_CHARS = 200


async def defer_continue(_request: web.Request) -> None:
    """Answer `Expect` later, in `read_body`: who has no credential is not asked for a body."""


async def read_body(
    request: web.Request,
    exchange: Exchange,
    max_bytes: int,
    memory: BodyMemory,
    *,
    host_may_decode: bool,
) -> bytes:
    """Read and decode the body.

    Args:
        request: whose body.
        exchange: counts the bytes; its interruption ends the wait.
        max_bytes: bound of the body as received and as decoded.
        memory: for the bodies of all requests.
        host_may_decode: whether the server is not ours, and may have undone Content-Encoding, as aiohttp does by
            default. It leaves the header in place, so only the body tells.

    Raises:
        UnsupportedMedia: not `application/json`, not in UTF-8, or an encoding other than gzip and deflate.
        RequestTooLarge: over the bound, or more than its key may ever hold: as declared, before a byte is read; as
            counted; or after decoding.
        InvalidRequest: the encoding or the framing is broken.
        RequestBodyTimeout: the client fell silent, or sends too slowly.
        Overloaded: there is no memory for it now.
    """
    fields = request.headers
    if fields.get(headers.CONTENT_TYPE) != _JSON:
        _check_content_type(request)
    encoding = _encoding(fields)
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise _too_large(max_bytes)
    if declared is None or declared > SMALL_BYTES or encoding is not None:
        key = exchange.key.name if exchange.key is not None else ""
        expected = _UNDECLARED_BYTES if declared is None else declared
        if expected <= _GROWN_BYTES:
            expected = _grown(expected)
        exchange.body_permit = await memory.take(key, expected)
    expectation = fields.get(hdrs.EXPECT)
    # RFC 9110 section 10.1.1: of a client of HTTP/1.0 it is to be ignored.
    if expectation is not None and request.version >= HttpVersion11:
        if expectation.strip().lower() != "100-continue":
            raise ExpectationFailed("expect: only 100-continue is known")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    # Nearly every small body has come whole.
    body = take_whole(request.content)
    if body is None:
        body = await _received(request, exchange, max_bytes)
    else:
        _count(exchange, len(body), max_bytes)
    if encoding is not None and not (host_may_decode and _is_plain(body)):
        body = await _decoded(body, encoding, max_bytes, exchange.body_permit)
    if exchange.body_permit is not None:
        exchange.body_permit.hold(len(body))
    return body


async def _decoded(body: bytes, encoding: str, max_bytes: int, permit: Permit | None) -> bytes:
    whole = io.BytesIO()
    size = 0
    for part in decode_steps(body, encoding, max_bytes):
        whole.write(part)
        size += len(part)
        if permit is not None:
            permit.hold_at_least(len(body) + _grown(size))
        await asyncio.sleep(0)
    return whole.getvalue()


def _encoding(fields: MultiMapping[str]) -> str | None:
    """Return how the body is encoded; None: not at all."""
    if headers.CONTENT_ENCODING not in fields:
        return None
    # All of them: another reader could take the second.
    named = encodings(fields.getall(headers.CONTENT_ENCODING))
    if len(named) > 1 or not DECODED.issuperset(named):
        raise UnsupportedMedia(
            "content-encoding: must be gzip, deflate or absent",
            error_code="request_body_encoding_unsupported",
        )
    return named[0] if named else None


def _check_content_type(request: web.Request) -> None:
    # Python's reader of it takes 300 ms for 8 kB of parameters.
    if len(request.headers.get(headers.CONTENT_TYPE, "")) > _MAX_LABEL_CHARS:
        raise UnsupportedMedia(f"content-type: over {_MAX_LABEL_CHARS} characters")
    if request.content_type != _JSON:
        raise UnsupportedMedia("content-type: must be application/json")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia("content-type: the charset must be utf-8, which is that of JSON")


async def _received(request: web.Request, exchange: Exchange, max_bytes: int) -> bytes:
    content = request.content
    # It gives away what it holds: of parts that are joined, all would be there twice. A small one grows, which takes
    # less time than to fill its place with zeros first.
    declared = request.content_length or 0
    place_bytes = declared if declared > _GROWN_BYTES else 0
    received = io.BytesIO(bytes(place_bytes))
    exchange.body_since_s = time.monotonic()
    while not content.at_eof():
        try:
            if content.is_eof():
                part = content.read_nowait()
            else:
                with exchange.waiting(Phase.REQUEST_BODY):
                    part = await content.readany()
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise InvalidRequest(f"body: broken framing: {error}") from None
        _count(exchange, len(part), max_bytes)
        if exchange.body_permit is not None and exchange.bytes_in > place_bytes:
            exchange.body_permit.hold_at_least(_grown(exchange.bytes_in))
        received.write(part)
    # A host's server may have decoded it, and then it may be shorter than it was declared.
    received.truncate()
    exchange.waited_s += time.monotonic() - exchange.body_since_s
    return received.getvalue()


def _count(exchange: Exchange, part_bytes: int, max_bytes: int) -> None:
    exchange.bytes_in += part_bytes
    if exchange.bytes_in > max_bytes:
        raise _too_large(max_bytes)


def _grown(size: int) -> int:
    """Return what a buffer takes that has grown to a size: it grows by an eighth."""
    return size + (size >> 3)


def _is_plain(body: bytes) -> bool:
    """Return whether it is JSON, and not compressed: no stream of gzip or zlib begins like an object, or space."""
    return body[:1] in (b"{", b" ", b"\t", b"\r", b"\n")


def _too_large(max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is over {max_bytes} bytes (limits.max_body_bytes)")
