"""Relay an answer that is read to its end before a byte of it goes out: messages without streaming, counts, errors.

So a failure of the upstream, wherever it comes, is still an error response.
"""

import asyncio

import aiohttp
import msgspec
from aiohttp import web

from proxy import headers, json_members
from proxy.errors import UpstreamFailed
from proxy.exchange import Exchange, Wait
from proxy.upstream import READ_ERRORS, failure, response_headers

MAX_BYTES = 64 << 20

_JSON = "application/json"


async def relay_whole(
    request: web.Request,
    exchange: Exchange,
    answer: aiohttp.ClientResponse,
    echo_model: str | None,
) -> web.Response:
    """Read an upstream's answer and give it to the client.

    Raises:
        UpstreamFailed: it broke off, is over `MAX_BYTES`, or is a success that says it is JSON and is not.
        UpstreamTimeout: it fell silent.
    """
    body = await _read(exchange, answer)
    response = _response(exchange, answer, body, echo_model)
    exchange.waits_for(Wait.CLIENT)
    try:
        await response.prepare(request)
        await response.write_eof()
    except asyncio.CancelledError:
        # The client does not read, or the process ends: its length tells the client that the answer is cut.
        exchange.fail(failure(exchange.interruption(), exchange.upstream or ""))
        if request.transport is not None:
            request.transport.abort()
    finally:
        exchange.wait = Wait.NOTHING
    return response


async def _read(exchange: Exchange, answer: aiohttp.ClientResponse) -> bytes:
    content = answer.content
    parts: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            exchange.waits_for(Wait.RESPONSE_BODY)
            part = await content.readany()
            size += len(part)
            if size > MAX_BYTES:
                raise UpstreamFailed("the upstream's answer is too large", "upstream_too_large")
            parts.append(part)
    except asyncio.CancelledError:
        raise exchange.interruption() from None
    except READ_ERRORS as error:
        raise failure(error, exchange.upstream or "") from error
    finally:
        exchange.wait = Wait.NOTHING
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _response(
    exchange: Exchange, answer: aiohttp.ClientResponse, body: bytes, echo_model: str | None
) -> web.Response:
    """Build the client's response, its bytes untouched but for the echoed model."""
    encoded = headers.CONTENT_ENCODING in answer.headers
    if answer.status == web.HTTPOk.status_code and answer.content_type == _JSON and not encoded:
        body = _observed(exchange, body, echo_model)
    crossing = response_headers(exchange, answer)
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


def _observed(exchange: Exchange, body: bytes, echo_model: str | None) -> bytes:
    try:
        members = json_members.read(body)
        exchange.usage = msgspec.json.decode(members.get("usage", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed("the upstream's answer is not JSON", "upstream_garbage") from error
    if echo_model is None or "model" not in members:
        return body
    return json_members.replace(body, members, "model", msgspec.json.encode(echo_model))
