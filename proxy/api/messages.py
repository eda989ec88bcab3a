"""The endpoints. `relay_call` is the way of a request once its key, version, body and route are settled."""

import msgspec
from aiohttp import web

from proxy.api.chain import CALL, EXCHANGE, KEY, ROUTE, checked_as, public
from proxy.api.request_body import no_continue
from proxy.errors import REQUEST_ID, ModelForbidden
from proxy.gateway import GATEWAY
from proxy.protocol.call import COUNT_TOKENS, MESSAGES
from proxy.relay.buffered import relay_whole
from proxy.relay.streaming import is_stream, relay_stream
from proxy.routing import catalog
from proxy.routing.router import permits
from proxy.upstreams.failures import refuse_unfit

MESSAGES_PATH = "/v1/messages"
COUNT_TOKENS_PATH = "/v1/messages/count_tokens"
HELLO_PATH = "/api/hello"


@checked_as(MESSAGES)
async def relay_messages(request: web.Request) -> web.StreamResponse:
    """`POST /v1/messages`."""
    echo = request[CALL].model if request.app[GATEWAY].config.echo_model else None
    return await _relay(request, MESSAGES_PATH, echo)


@checked_as(COUNT_TOKENS)
async def relay_count_tokens(request: web.Request) -> web.StreamResponse:
    """`POST /v1/messages/count_tokens`."""
    return await _relay(request, COUNT_TOKENS_PATH, None)


async def _relay(request: web.Request, path: str, echo_model: str | None) -> web.StreamResponse:
    """Send the call to its upstream and its answer to the client."""
    pool = request.app[GATEWAY].pool
    exchange, call, route = request[EXCHANGE], request[CALL], request[ROUTE]
    query = request.rel_url.raw_query_string
    answer = await pool.post(
        exchange,
        route.upstream,
        f"{path}?{query}" if query else path,
        request,
        call.body_for(route.upstream_model),
    )
    try:
        refuse_unfit(answer, route.upstream)
        exchange.request_id = answer.headers.get(REQUEST_ID, exchange.request_id)
        relay = relay_stream if is_stream(answer) else relay_whole
        return await relay(request, exchange, answer, echo_model)
    finally:
        # A no-op after the last byte; before it, the upstream learns at once that nobody listens.
        answer.close()


async def list_models(request: web.Request) -> web.Response:
    """`GET /v1/models`: what the caller's key may use."""
    gateway = request.app[GATEWAY]
    entries = catalog.visible(gateway.config.models, gateway.router, request[KEY])
    return _json(catalog.page(entries, request.query))


async def get_model(request: web.Request) -> web.Response:
    """`GET /v1/models/{id}`; the id's slash may come raw or as %2F."""
    model_id = request.match_info["model_id"]
    route = request.app[GATEWAY].router.find(model_id)
    if not permits(request[KEY].models, route):
        raise ModelForbidden(f"this key may not use model: {model_id[:200]}")
    return _json(catalog.describe(model_id, route))


@public
async def say_hello(_request: web.Request) -> web.Response:
    """`HEAD|GET /` and `/api/hello`: clients look whether anybody is there."""
    return _json({"service": "anyrouter"})


@public
async def report_health(_request: web.Request) -> web.Response:
    """`GET /healthz`: the process is up."""
    return _json({"status": "ok"})


@public
async def report_readiness(request: web.Request) -> web.Response:
    """`GET /readyz`: 503 while draining."""
    if request.app[GATEWAY].draining:
        return _json({"status": "draining"}, status=503)
    return _json({"status": "ready"})


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def add_routes(router: web.UrlDispatcher, base_path: str) -> None:
    """Add the endpoints below a path: `""`, or one that starts with a slash."""
    router.add_post(base_path + MESSAGES_PATH, relay_messages, expect_handler=no_continue)
    router.add_post(base_path + COUNT_TOKENS_PATH, relay_count_tokens, expect_handler=no_continue)
    router.add_get(f"{base_path}/v1/models", list_models, expect_handler=no_continue)
    router.add_get(f"{base_path}/v1/models/{{model_id:.+}}", get_model, expect_handler=no_continue)
    router.add_get(base_path, say_hello, expect_handler=no_continue)
    router.add_get(f"{base_path}/", say_hello, expect_handler=no_continue)
    router.add_get(f"{base_path}/hello", say_hello, expect_handler=no_continue)
    router.add_get(f"{base_path}/healthz", report_health, expect_handler=no_continue)
    router.add_get(f"{base_path}/readyz", report_readiness, expect_handler=no_continue)
