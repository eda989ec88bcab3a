"""`/v1/messages` and its count: a checked and routed call to its upstream, the upstream's response to the client."""

import functools
import time
from collections.abc import Awaitable, Mapping
from http import HTTPStatus

from aiohttp import web

from proxy.aiohttp_fast import UpstreamResponse
from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.errors import NotFound, ProxyError
from proxy.progress import Progress
from proxy.protocol.message import Echo
from proxy.relay import buffered, early, streaming
from proxy.routing.router import Route, route_by
from proxy.upstreams import dialects
from proxy.upstreams.attempts import First, first_fit
from proxy.upstreams.connections import UpstreamTemplate
from proxy.upstreams.failures import refuse_unfit
from proxy.upstreams.homes import names_for
from proxy.upstreams.opening import Opening, hold
from proxy.upstreams.responses import given_request_id, is_stream

MESSAGES_PATH = "/v1/messages"
COUNT_TOKENS_PATH = "/v1/messages/count_tokens"
_OK = int(HTTPStatus.OK)
_NOTHING_READ: tuple[bytes, ...] = ()


def relay_messages(request: web.Request) -> Awaitable[web.StreamResponse]:
    """Serve `POST /v1/messages`."""
    config, exchange = request[SNAPSHOT].config, request[EXCHANGE]
    if config.early_head and exchange.stream:
        respond = functools.partial(_relay, request, MESSAGES_PATH, may_echo=config.echo_model)
        return early.relay(request, exchange, respond)
    return _relay(request, MESSAGES_PATH, None, may_echo=config.echo_model)


async def relay_count_tokens(request: web.Request) -> web.StreamResponse:
    """Serve `POST /v1/messages/count_tokens`: by an upstream that counts, so that clients do not count by inference."""
    exchange = request[EXCHANGE]
    if exchange.route is not None:
        exchange.route = _counting(exchange.route, request[SNAPSHOT].upstreams)
    return await _relay(request, COUNT_TOKENS_PATH, None, may_echo=False)


def _counting(route: Route, upstreams: Mapping[str, UpstreamTemplate]) -> Route:
    """Return the route by those of its upstreams that count tokens.

    Raises:
        NotFound: there is none. Claude Code then estimates by itself.
    """
    ways = route.ways
    counting = [each for each in ways if upstreams[each.upstream].upstream.counts_tokens]
    if not counting:
        raise NotFound("token counting is not supported for this model")
    return route if len(counting) == len(ways) else route_by(counting)


async def _relay(
    request: web.Request, path: str, head: early.EarlyHead | None, *, may_echo: bool
) -> web.StreamResponse:
    """Send the call to its upstream, and the upstream's response to the client.

    Args:
        request: with its call and its route.
        path: of the upstream's API.
        head: goes out when the upstream is quiet; None: none goes out before the upstream's.
        may_echo: whether the response is to name the model that was asked for.
    """
    exchange = request[EXCHANGE]
    call, route = exchange.call, exchange.route
    if call is None or route is None:
        raise RuntimeError("the route's chain does not read the body")
    query = request.rel_url.raw_query_string
    path_qs = f"{path}?{query}" if query else path
    asked = call.model if may_echo else None
    opening: Opening | None = None
    read = _NOTHING_READ
    may_stream = True
    standing = request[LIVE].standing
    if route.choices:
        order = request[SNAPSHOT].pools[route.pool or ""]
        names = names_for(exchange, route, call, order, standing)
        choices, began_s = route.choices, time.monotonic()
        found: UpstreamResponse | ProxyError | None = None
        if standing.health.is_well:
            # Nearly always: home answers, and nothing of what follows is needed.
            exchange.route = route = choices[names[0]]
            try:
                found = await _ask(request, path_qs, route)
            except ProxyError as error:
                found = error
        if isinstance(found, UpstreamResponse) and found.status == _OK and not is_stream(found):
            response, may_stream = found, False
        else:
            ask = functools.partial(_ask, request, path_qs)
            first = None if found is None else First(found, began_s)
            route, response, read, opening = await first_fit(
                exchange,
                call,
                ask,
                [choices[name] for name in names],
                order,
                standing,
                asked,
                first,
            )
    else:
        response = await _ask(request, path_qs, route)
    # Sent and answered: a stream may live for minutes, and must not keep megabytes of a request.
    del call
    exchange.let_body_go()
    exchange.progress = Progress.BEGUN if response.is_success else Progress.REFUSED
    echo = Echo(sent=route.upstream_model, asked=asked) if asked is not None else None
    try:
        upstream_id = given_request_id(response)
        standing.counts.told(route.upstream, response.headers, exchange.sent_s)
        exchange.upstream_request_id = upstream_id
        refuse_unfit(response, exchange)
        if opening is None and may_stream and is_stream(response):
            opening = await hold(exchange, response, echo, until_content=False)
        begun = None if head is None else await head.settled()
        if begun is not None:
            return await early.go_on(request, exchange, response, begun, opening=opening, read=read)
        if upstream_id is not None:
            # By which its operators find the request. The client is told it, so the log needs it only once.
            exchange.request_id, exchange.upstream_request_id = upstream_id, None
        if opening is not None:
            return await streaming.relay(request, exchange, response, opening)
        return await buffered.relay(request, exchange, response, echo, read)
    finally:
        # A no-op after the last byte; before it, the upstream learns at once that nobody listens.
        response.close()


def _ask(request: web.Request, path_qs: str, route: Route) -> Awaitable[UpstreamResponse]:
    """Send the call by a route, in the words of its upstream."""
    exchange = request[EXCHANGE]
    call, upstream = exchange.call, request[SNAPSHOT].upstreams[route.upstream]
    if call is None:
        raise RuntimeError("the call has been let go")
    body: dialects.Pieces
    if upstream.is_rewritten:
        path_qs, body = dialects.rewritten(
            upstream.upstream, path_qs, call, route.upstream_model, route.named
        )
    else:
        body = call.body_for(route.upstream_model, route.named)
    return request[LIVE].connections.post(exchange, upstream, path_qs, request, body)
