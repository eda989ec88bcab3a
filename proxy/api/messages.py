"""`/v1/messages` and its count: a checked and routed call to its upstream, the upstream's response to the client."""

import functools

from aiohttp import web

from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.progress import Progress
from proxy.protocol.message import Echo
from proxy.relay import buffered, early, streaming
from proxy.relay.head import given_request_id
from proxy.upstreams.failures import refuse_unfit

MESSAGES_PATH = "/v1/messages"
COUNT_TOKENS_PATH = "/v1/messages/count_tokens"


async def relay_messages(request: web.Request) -> web.StreamResponse:
    """Serve `POST /v1/messages`."""
    config, exchange = request[SNAPSHOT].config, request[EXCHANGE]
    if config.early_head and exchange.stream:
        respond = functools.partial(_relay, request, MESSAGES_PATH, may_echo=config.echo_model)
        return await early.relay(request, exchange, respond)
    return await _relay(request, MESSAGES_PATH, None, may_echo=config.echo_model)


async def relay_count_tokens(request: web.Request) -> web.StreamResponse:
    """Serve `POST /v1/messages/count_tokens`."""
    return await _relay(request, COUNT_TOKENS_PATH, None, may_echo=False)


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
    echo = Echo(sent=route.upstream_model, asked=call.model) if may_echo else None
    query = request.rel_url.raw_query_string
    response = await request[LIVE].connections.post(
        exchange,
        request[SNAPSHOT].upstreams[route.upstream],
        f"{path}?{query}" if query else path,
        request,
        call.body_for(route.upstream_model),
    )
    # Sent and answered: a stream may live for minutes, and must not keep megabytes of a request.
    del call
    exchange.let_body_go()
    exchange.progress = Progress.BEGUN if response.is_success else Progress.REFUSED
    try:
        upstream_id = given_request_id(response)
        exchange.upstream_request_id = upstream_id
        refuse_unfit(response, exchange)
        begun = None if head is None else await head.settled()
        if begun is not None:
            return await early.go_on(request, exchange, response, echo, begun)
        if upstream_id is not None:
            # By which its operators find the request. The client is told it, so the log needs it only once.
            exchange.request_id, exchange.upstream_request_id = upstream_id, None
        relay = streaming.relay if streaming.is_stream(response) else buffered.relay
        return await relay(request, exchange, response, echo)
    finally:
        # A no-op after the last byte; before it, the upstream learns at once that nobody listens.
        response.close()
