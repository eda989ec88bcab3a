"""The outermost middleware: every failure in the API's shape, every request told to the observers."""

import asyncio
import functools
import logging
import re

from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import MultiMapping

from proxy import errors
from proxy.access.user_agents import client_of
from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.api.probes import answer_options, mark_probe
from proxy.causes import Cause
from proxy.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ProxyError,
    Unauthenticated,
)
from proxy.exchange import Exchange
from proxy.gateway import Gateway
from proxy.protocol.headers import USER_AGENT
from proxy.received import Received
from proxy.relay.head import FROM_GATEWAY

_log = logging.getLogger(__name__)
_MAX_PATH_CHARS = 200
# Endpoints of the API, and of other vendors', that clients may know.
_NOT_SERVED = re.compile(
    r"/(messages/batches|files|skills|complete|organizations|experimental|chat/completions|completions|responses|embeddings)\b"
)
# Of the request line `OPTIONS * HTTP/1.1` (RFC 9110 section 9.3.7), which a router of paths cannot have.
_WHOLE_SERVER = "*"
_HOST = re.compile(r"[\w.:\[\]-]{1,200}", re.ASCII)


def guarded_by(gateway: Gateway) -> Middleware:
    """Return the middleware that begins an exchange, answers whatever fails in it, and tells observers of its end."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.rel_url.raw_path[:_MAX_PATH_CHARS]
        exchange = Exchange(Received(request.method, path, _client(request, gateway)))
        fields = request.headers
        exchange.client = client_of(fields.get(USER_AGENT))
        request[EXCHANGE] = exchange
        request[LIVE] = gateway
        request[SNAPSHOT] = gateway.snapshot
        if gateway.is_hosted:
            exchange.is_abandoned = functools.partial(_has_left, request)
        gateway.deadlines.begin(exchange)
        try:
            _refuse_odd_framing(request.version, fields)
            response: web.StreamResponse = await handler(request)
        except ProxyError as error:
            errors.let_go(error)
            return error_response(exchange, error)
        except web.HTTPException as error:
            if request.method == hdrs.METH_OPTIONS and request.rel_url.raw_path == _WHOLE_SERVER:
                return _completed(exchange, await mark_probe(answer_options)(request))
            return error_response(exchange, from_http_exception(request, error))
        except (asyncio.CancelledError, ConnectionError) as error:
            errors.let_go(error)
            exchange.cause = exchange.cause or Cause.CLIENT_CLOSED
            if gateway.is_hosted:
                # As where a host cancels handlers; of a connection that has broken aiohttp would log a traceback.
                raise asyncio.CancelledError from None
            raise
        except Exception:  # noqa: BLE001 - the last resort: logged with its traceback, answered in the API's shape
            _log.exception("%s %s %s: a defect", exchange.received.id, request.method, path)
            return _answer_of_a_defect(request, exchange)
        else:
            return _completed(exchange, response)
        finally:
            exchange.is_abandoned = None
            gateway.deadlines.end(exchange)
            gateway.ended(exchange)
            exchange.let_body_go()

    return guard


def _answer_of_a_defect(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    if _has_begun(request) and request.transport is not None:
        request.transport.abort()
    return error_response(exchange, InternalError("internal error of the gateway"))


def _has_left(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


def _completed(exchange: Exchange, response: web.StreamResponse) -> web.StreamResponse:
    """Return a handler's response, with what every response has, and record it."""
    if exchange.status is None:
        exchange.response_started(response.status)
    if not response.prepared and isinstance(response, web.Response):
        exchange.bytes_out = response.content_length or 0
        response.headers.setdefault(errors.REQUEST_ID, exchange.request_id)
        response.headers.setdefault(errors.SERVER, errors.SERVER_NAME)
        response[FROM_GATEWAY] = True
    return response


def _client(request: web.Request, gateway: Gateway) -> str | None:
    proxies = gateway.snapshot.trusted_proxies
    if proxies is None:
        return request.remote
    fields = request.headers
    return proxies.client_of(
        request.remote,
        fields.getall(hdrs.FORWARDED, ()),
        fields.getall(hdrs.X_FORWARDED_FOR, ()),
    )


def error_response(exchange: Exchange, error: ProxyError) -> web.Response:
    """Return the response to a failure, and record it."""
    exchange.fail(error)
    exchange.response_started(error.status)
    headers, body = errors.render(error, exchange.request_id)
    exchange.bytes_out = len(body)
    response = web.Response(status=error.status, headers=headers, body=body)
    response[FROM_GATEWAY] = True
    if error.closes:
        response.force_close()
    return response


def from_http_exception(request: web.Request, error: web.HTTPException) -> ProxyError:
    """Return the failure that stands for what aiohttp's router refuses."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(request.method, sorted(error.allowed_methods))
    if isinstance(error, web.HTTPNotFound):
        return _not_found(request)
    if isinstance(error, web.HTTPUnauthorized):  # of the host's `authenticate`
        return Unauthenticated("unknown")
    return InvalidRequest(error.reason)


def _not_found(request: web.Request) -> NotFound:
    """Return a 404 that says which path to use instead: nearly always the base URL is a little wrong."""
    path = request.rel_url.raw_path[:_MAX_PATH_CHARS]
    if _NOT_SERVED.search(path):
        return NotFound(
            f"{path}: not served by this gateway; it serves messages, count_tokens and models"
        )
    host = request.host if _HOST.fullmatch(request.host) else "HOST"
    base_path = request[SNAPSHOT].config.listen.base_path
    return NotFound(
        f"no such path: {path}; the base URL of this gateway is {request.scheme}://{host}{base_path}, "
        "to which SDKs add /v1/messages"
    )


def _refuse_odd_framing(version: HttpVersion, fields: MultiMapping[str]) -> None:
    """Refuse what the parser lets through, and another reader may frame differently.

    HTTP/0.9 never had headers. A `Transfer-Encoding` that is empty, of HTTP/1.0, or anything but `chunked` leaves open
    where the next request begins (RFC 9112 sections 6.1 and 6.3).
    """
    reason = None
    if version is not HttpVersion11 and version < HttpVersion10:
        reason = "HTTP/1.1 is needed"
    elif encodings := fields.getall(hdrs.TRANSFER_ENCODING, ()):
        if version < HttpVersion11:
            reason = "HTTP/1.0 has no transfer-encoding"
        elif [each.strip().lower() for each in encodings] != ["chunked"]:
            reason = "transfer-encoding: must be chunked or absent"
    if reason is not None:
        error = InvalidRequest(f"malformed HTTP request: {reason}")
        error.closes = True
        raise error


def _has_begun(request: web.Request) -> bool:
    """Return whether a response was prepared: no other can follow it, and its head may wait for the first chunk."""
    writer = request.writer
    return writer.output_size > 0 or getattr(writer, "chunked", False)
