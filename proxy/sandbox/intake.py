"""Taking a request in: its knobs, its credential, the errors that were asked for, its body."""

import asyncio
import random
import zlib
from collections import deque
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import istr

from proxy.sandbox.errors import ApiError, type_of
from proxy.sandbox.knobs import STATUSES, Knobs

ANTHROPIC_VERSION = istr("anthropic-version")
RETRY_AFTER = istr("retry-after")
X_API_KEY = istr("x-api-key")
X_SANDBOX = istr("x-sandbox")

MAX_BODY_BYTES = 32 * 1024 * 1024
_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True)
class Received:
    """A request as it arrived; the body still in its Content-Encoding."""

    method: str
    path_qs: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


KNOBS = web.AppKey("KNOBS", Knobs)
CHANCE = web.AppKey("CHANCE", random.Random)
REQUESTS = web.AppKey("REQUESTS", deque[Received])


async def receive(request: web.Request) -> Received:
    """Return the request as it arrived."""
    raw_headers = tuple((bytes(name), bytes(value)) for name, value in request.raw_headers)
    return Received(request.method, request.raw_path, raw_headers, await request.read())


async def admit(request: web.Request) -> Knobs:
    """Check what the API checks in the headers and return the knobs of this request.

    Raises:
        ApiError: the credential or the version is missing or wrong, or a knob asks for an error.
    """
    knobs = request.app[KNOBS]
    if wanted := request.headers.get(X_SANDBOX):
        knobs = _apply_header(wanted, knobs)
    if knobs.ttfb:
        await asyncio.sleep(knobs.ttfb)
    _authenticate(request, knobs)
    if not request.headers.get(ANTHROPIC_VERSION):
        raise ApiError("invalid_request_error", "anthropic-version: header is required")
    _fail(knobs, request.app[CHANCE])
    return knobs


def _apply_header(wanted: str, base: Knobs) -> Knobs:
    try:
        knobs = Knobs.parse(wanted, base)
    except ValueError as exc:
        raise ApiError("invalid_request_error", f"x-sandbox: {exc}") from exc
    for name in ("record", "seed", "serve_record"):
        if getattr(knobs, name) != getattr(base, name):
            raise ApiError("invalid_request_error", f"x-sandbox: {name}: only at the start")
    return knobs


def _authenticate(request: web.Request, knobs: Knobs) -> None:
    scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    given = (request.headers.get(X_API_KEY), bearer if scheme.lower() == "bearer" else None)
    credentials = [credential.strip() for credential in given if credential]
    if not any(credentials):
        raise ApiError("authentication_error", "x-api-key header is required")
    if knobs.key is not None and any(credential != knobs.key for credential in credentials):
        raise ApiError("authentication_error", "invalid x-api-key")


def _fail(knobs: Knobs, chance: random.Random) -> None:
    headers: dict[str, str] = (
        {} if knobs.retry_after is None else {RETRY_AFTER: str(knobs.retry_after)}
    )
    if knobs.status is not None or knobs.error is not None:
        status = knobs.status if knobs.status is not None else STATUSES[str(knobs.error)]
        kind = knobs.error if knobs.error is not None else type_of(status)
        message = f"The sandbox answers {status}, as it was asked to"
        raise ApiError(kind, message, status=status, headers=headers)
    if knobs.fail_rate and chance.random() < knobs.fail_rate:
        raise ApiError("overloaded_error", "Overloaded", headers=headers)


async def decode_body(request: web.Request) -> bytes:
    """Return the body without its Content-Encoding.

    Raises:
        ApiError: the encoding is unknown, the bytes are not in it, or there are too many.
    """
    body = await request.read()
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in _WBITS:
        raise ApiError(
            "invalid_request_error",
            f"content-encoding: {encoding} is not supported",
            status=415,
            code="request_body_encoding_unsupported",
        )
    inflater = zlib.decompressobj(wbits=_WBITS[encoding])
    try:
        plain = inflater.decompress(body, MAX_BODY_BYTES)
    except zlib.error as exc:
        raise _broken(f"the body is not {encoding}") from exc
    if inflater.unconsumed_tail:
        raise ApiError(
            "request_too_large",
            "Request exceeds the maximum size after decoding",
            code="request_body_too_large_after_decoding",
        )
    if not inflater.eof:
        raise _broken("the body ends early")
    return plain


def _broken(why: str) -> ApiError:
    return ApiError(
        "invalid_request_error",
        f"content-encoding: {why}",
        code="request_body_encoding_invalid",
    )
