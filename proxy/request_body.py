"""Read a request's body: bounded while it arrives and while it is decoded, never waited for without end."""

import asyncio
import zlib

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from proxy import headers
from proxy.errors import (
    ExpectationFailed,
    InvalidRequest,
    RequestTooLarge,
    UnsupportedMedia,
)
from proxy.exchange import Exchange, Wait

_STEP_BYTES = 1 << 18
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_DECODED = {"gzip", "x-gzip", "deflate"}


async def no_continue(_request: web.Request) -> None:
    """Answer `Expect` later, in `read_body`: who has no credential is not asked for a body."""


async def read_body(
    request: web.Request, exchange: Exchange, max_bytes: int, *, decoded_by_host: bool
) -> bytes:
    """Read and decode the body.

    Args:
        request: whose body.
        exchange: counts the bytes; its interruption ends the wait.
        max_bytes: bound of the body as received and as decoded.
        decoded_by_host: whether the server in front has undone Content-Encoding, as aiohttp does by default.

    Raises:
        UnsupportedMedia: not `application/json`, or an encoding other than gzip and deflate.
        RequestTooLarge: over the bound: as declared, before a byte is read; as counted; or after decoding.
        InvalidRequest: the encoding or the framing is broken.
        RequestBodyTimeout: the client fell silent.
    """
    if request.content_type != "application/json":
        raise UnsupportedMedia("content-type: must be application/json")
    encoding = request.headers.get(headers.CONTENT_ENCODING, "identity").strip().lower()
    if encoding != "identity" and encoding not in _DECODED:
        raise UnsupportedMedia(
            "content-encoding: must be gzip, deflate or absent",
            error_code="request_body_encoding_unsupported",
        )
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise _too_large(max_bytes)
    if (expectation := request.headers.get("Expect")) is not None:
        if expectation.strip().lower() != "100-continue":
            raise ExpectationFailed("expect: only 100-continue is known")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = await _received(request, exchange, max_bytes)
    if encoding == "identity" or decoded_by_host:
        return body
    return await _decoded(body, encoding, max_bytes)


async def _received(request: web.Request, exchange: Exchange, max_bytes: int) -> bytes:
    content = request.content
    parts: list[bytes] = []
    while not content.at_eof():
        exchange.waits_for(Wait.REQUEST_BODY)
        try:
            part = await content.readany()
        except asyncio.CancelledError:
            raise exchange.interruption() from None
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise InvalidRequest(f"body: broken framing: {error}") from None
        exchange.bytes_in += len(part)
        if exchange.bytes_in > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
    exchange.wait = Wait.NOTHING
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _decoded(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo gzip or deflate, in steps between which others run."""
    decoded = bytearray()
    # Some senders of "deflate" leave the zlib header out (RFC 9110 section 8.4.1.2).
    headless = encoding == "deflate" and body != b"" and body[0] & 0x0F != zlib.DEFLATED
    wbits = -zlib.MAX_WBITS if headless else _GZIP_OR_ZLIB
    rest = body
    while rest or not decoded:
        decoder = zlib.decompressobj(wbits)
        while not decoder.eof:
            try:
                step = decoder.decompress(rest, _STEP_BYTES)
            except zlib.error:
                raise _broken() from None
            rest = decoder.unconsumed_tail
            decoded += step
            if len(decoded) > max_bytes:
                raise RequestTooLarge(
                    f"the decoded body is over {max_bytes} bytes",
                    error_code="request_body_too_large_after_decoding",
                )
            if not (rest or step or decoder.eof):
                raise _broken()
            if len(step) == _STEP_BYTES:
                await asyncio.sleep(0)
        # gzip may hold several members, one after the other (RFC 1952 section 2.2).
        rest = decoder.unused_data
    return bytes(decoded)


def _too_large(max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is over {max_bytes} bytes")


def _broken() -> InvalidRequest:
    return InvalidRequest(
        "content-encoding: the body is not what it names",
        error_code="request_body_encoding_invalid",
    )
