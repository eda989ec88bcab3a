"""The chain in front of the relay, outermost first: error shape, authentication, version, model routing.

Each step puts one typed value into the request for the next: `EXCHANGE`, `KEY`, `CALL`, `ROUTE`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion10, web

from proxy import errors
from proxy.api.request_body import read_body
from proxy.config import Key
from proxy.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, ProxyError
from proxy.exchange import Exchange
from proxy.gateway import GATEWAY, Gateway
from proxy.protocol import headers, version
from proxy.protocol.call import LARGE_BYTES, Call, parse_call
from proxy.routing.router import Route, permits
from proxy.server.connection import Connection

EXCHANGE = web.RequestKey("exchange", Exchange)
KEY = web.RequestKey("key", Key)
CALL = web.RequestKey("call", Call)
ROUTE = web.RequestKey("route", Route)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
_PATH_CHARS = 200
_LOGGED_ID_CHARS = 100


def public(handler: Handler) -> Handler:
    """Mark a handler that answers without a credential, and while the gateway drains."""
    handler.is_public = True  # type: ignore[attr-defined] # read by `_is_public`
    return handler


def checked_as(schema_name: str) -> Callable[[Handler], Handler]:
    """Mark a handler whose body is checked against a schema, and then routed by its model."""

    def marked(handler: Handler) -> Handler:
        handler.schema_name = schema_name  # type: ignore[attr-defined] # read by `route_model`
        return handler

    return marked


def _is_public(request: web.Request) -> bool:
    match = request.match_info
    return match.http_exception is not None or getattr(match.handler, "is_public", False)


@web.middleware
async def error_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn any failure into the API's error shape, and any request into a line of the access log."""
    gateway = request.app[GATEWAY]
    exchange = Exchange(
        method=request.method, path=request.rel_url.raw_path[:_PATH_CHARS], client=request.remote
    )
    request[EXCHANGE] = exchange
    gateway.watch.begin(exchange)
    try:
        if (turned_away := _turned_away(request, gateway)) is not None:
            refusal = error_response(exchange, turned_away)
            refusal.force_close()
            return refusal
        response: web.StreamResponse = await handler(request)
    except ProxyError as error:
        return error_response(exchange, error)
    except web.HTTPException as error:
        return error_response(exchange, _shaped(request, error))
    except (asyncio.CancelledError, ConnectionError):
        exchange.cause = exchange.cause or "client_closed"
        raise
    except Exception:  # noqa: BLE001 - the last resort: logged with its traceback, answered in the API's shape
        if _has_begun(request) and request.transport is not None:
            request.transport.abort()
        _log.exception("%s %s %s: a defect", exchange.request_id, request.method, request.path)
        return error_response(exchange, InternalError("internal error of the gateway"))
    else:
        if exchange.status is None:
            exchange.answered(response.status)
        if not response.prepared and isinstance(response, web.Response):
            exchange.bytes_out = response.content_length or 0
            response.headers.setdefault(errors.REQUEST_ID, exchange.request_id)
        return response
    finally:
        gateway.watch.end(exchange)
        gateway.access_log.write(exchange)


def _has_begun(request: web.Request) -> bool:
    """Tell whether an answer was prepared: no other can follow it, and its head may wait for the first chunk."""
    writer = request.writer
    return writer.output_size > 0 or getattr(writer, "chunked", False)


def _turned_away(request: web.Request, gateway: Gateway) -> ProxyError | None:
    """Give the reason to look no further at a request."""
    if gateway.draining and not _is_public(request):
        return errors.draining()
    if request.version < HttpVersion10:
        # The parser lets HTTP/0.9 through, with headers that it never had.
        return InvalidRequest("malformed HTTP request: HTTP/1.1 is needed")
    return None


def error_response(exchange: Exchange, error: ProxyError) -> web.Response:
    """Build the answer to a failure and note it."""
    exchange.fail(error)
    exchange.answered(error.status)
    body = error.body(exchange.request_id)
    exchange.bytes_out = len(body)
    return web.Response(
        status=error.status,
        headers={
            errors.REQUEST_ID: exchange.request_id,
            headers.CONTENT_TYPE: "application/json",
            **error.headers(),
        },
        body=body,
    )


def _shaped(request: web.Request, error: web.HTTPException) -> ProxyError:
    """Word what aiohttp's router refuses."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(request.method, sorted(error.allowed_methods))
    if isinstance(error, web.HTTPNotFound):
        return NotFound(f"no such path: {request.rel_url.raw_path[:_PATH_CHARS]}")
    return InvalidRequest(error.reason)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find whose key the request carries, before a byte of its body is read."""
    if _is_public(request):
        return await handler(request)
    key = request.app[GATEWAY].key_ring.authenticate(request.headers)
    exchange = request[EXCHANGE]
    exchange.key = key.name
    exchange.session_id = _bounded(request, headers.SESSION_ID)
    exchange.agent_id = _bounded(request, headers.AGENT_ID)
    request[KEY] = key
    return await handler(request)


def _bounded(request: web.Request, name: str) -> str | None:
    value = request.headers.get(name)
    return value[:_LOGGED_ID_CHARS] if value else None


@web.middleware
async def check_version(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Require a well-formed and accepted `anthropic-version`; it is forwarded as it came."""
    if KEY in request:
        version.check_version(
            request.headers.getall(headers.ANTHROPIC_VERSION, ()),
            request.app[GATEWAY].config.anthropic_versions,
        )
    return await handler(request)


@web.middleware
async def route_model(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read and check the body, and find the upstream of its model."""
    # The handler's mark, not the path, which can be spelled in many ways (`count%5Ftokens`).
    schema_name: str | None = getattr(request.match_info.handler, "schema_name", None)
    if KEY not in request or schema_name is None:
        return await handler(request)
    gateway = request.app[GATEWAY]
    exchange = request[EXCHANGE]
    call = await _read_call(request, exchange, gateway, schema_name)
    exchange.stream = call.stream
    exchange.model = call.model[:_LOGGED_ID_CHARS]
    route = gateway.router.find(call.model)
    if not permits(request[KEY].models, route):
        raise errors.ModelForbidden(f"this key may not use model: {exchange.model}")
    exchange.upstream = route.upstream
    exchange.upstream_model = route.upstream_model[:_LOGGED_ID_CHARS]
    request[CALL] = call
    request[ROUTE] = route
    return await handler(request)


async def _read_call(
    request: web.Request, exchange: Exchange, gateway: Gateway, schema_name: str
) -> Call:
    body = await read_body(
        request,
        exchange,
        gateway.config.limits.max_body_bytes,
        host_may_decode=not isinstance(request.protocol, Connection),
    )
    if len(body) <= LARGE_BYTES:
        return parse_call(body, schema_name)
    async with gateway.decoding:
        call = parse_call(body, schema_name)
        await asyncio.sleep(0)
    return call


CHAIN = (error_shape, authenticate, check_version, route_model)
