"""The middlewares of the routes, in the order of the chain: draining, authentication, version, body and route, limits.

Which route has which is in `routes.py`. Each puts what it found into the request's `Exchange`.
"""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.access.keys import KeyRefused
from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.api.request_body import read_body
from proxy.config import Key
from proxy.errors import Draining, InvalidRequest, KeysUnavailable
from proxy.protocol import headers, hints, json_members
from proxy.protocol.call import Call, parse_small, parse_steps
from proxy.protocol.version import check_version
from proxy.routing.named_models import with_named

_MAX_LOGGED_ID_CHARS = 100


@web.middleware
async def refuse_while_draining(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take no new request while the process is about to end."""
    if request[LIVE].draining:
        raise Draining
    return await handler(request)


def authenticate(endpoint: str) -> Middleware:
    """Return the middleware that finds whose key the request carries, before a byte of its body is read.

    Args:
        endpoint: what it then asks for, in the ledger's words.
    """

    @web.middleware
    async def find_key(request: web.Request, handler: Handler) -> web.StreamResponse:
        exchange, gateway = request[EXCHANGE], request[LIVE]
        if gateway.authenticate is not None:
            exchange.key = await gateway.host_key(request)
        if exchange.key is None:
            managed = None if gateway.tenancy is None else gateway.tenancy.managed
            ring = request[SNAPSHOT].key_ring
            try:
                try:
                    exchange.key = ring.authenticate(request.headers, managed)
                except KeysUnavailable:
                    # Just after the start, it may be one of the store, whose keys come in a moment.
                    if gateway.tenancy is None or not await gateway.tenancy.first_keys.came():
                        raise
                    exchange.key = ring.authenticate(request.headers, managed)
            except KeyRefused as error:
                # Whose it was is known: it is counted, and kept in the ledger, as what else its key is refused.
                exchange.refused_key, exchange.endpoint = error.key, endpoint
                raise
        exchange.endpoint = endpoint
        exchange.session_id = _cut(request.headers.get(headers.SESSION_ID))
        exchange.agent_id = _cut(request.headers.get(headers.AGENT_ID))
        if gateway.tenancy is not None:
            exchange.hints = hints.read(request.headers)
            exchange.prices = gateway.tenancy.prices
        return await handler(request)

    return find_key


def caller(request: web.Request) -> Key:
    """Return whose request it is, behind `authenticate`.

    Raises:
        RuntimeError: the route's chain does not authenticate.
    """
    key = request[EXCHANGE].key
    if key is None:
        raise RuntimeError("the route's chain does not authenticate")
    return key


def _cut(value: str | None) -> str | None:
    return value[:_MAX_LOGGED_ID_CHARS] if value else None


@web.middleware
async def require_version(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Require a well-formed and accepted `anthropic-version`; it is forwarded as it came."""
    versions = request.headers.getall(headers.ANTHROPIC_VERSION, ())
    check_version(versions, request[SNAPSHOT].config.anthropic_versions)
    return await handler(request)


def route_model(schema_name: str) -> Middleware:
    """Return the middleware that reads the body, checks it against a schema, and finds the upstream of its model."""

    @web.middleware
    async def route(request: web.Request, handler: Handler) -> web.StreamResponse:
        exchange = request[EXCHANGE]
        call = await _read_call(request, schema_name)
        exchange.stream = call.stream
        exchange.model = _cut(call.model)
        exchange.body_bytes, exchange.max_tokens = len(call.body), call.max_tokens
        router = request[SNAPSHOT].router
        found = router.find_for(caller(request).models, call.model)
        if call.named:
            found = with_named(call, found, router, caller(request).models)
        exchange.call, exchange.route = call, found
        # The exchange lets go of it once it is answered, while this frame waits for the handler.
        del call
        return await handler(request)

    return route


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request in, unless a limit or a budget of its key, its key's owner or all together is against it."""
    exchange, tenancy = request[EXCHANGE], request[LIVE].tenancy
    if exchange.call is not None:
        # Read for its cost alone, as `reckoned` says of the rest.
        exchange.speed = _word(exchange.call, "speed")
        exchange.geo = _word(exchange.call, "inference_geo")
    exchange.reckoned = True
    if tenancy is not None:
        await tenancy.admission.admit(exchange)
    return await handler(request)


def _word(call: Call, name: str) -> str | None:
    """Return the value of a member that is one plain word, however the body was read."""
    if name not in call.members and name not in call.spans:
        return None
    # One byte more shows that it goes on.
    return json_members.word(call.beginning(name, json_members.MAX_WORD_BYTES + 1))


async def _read_call(request: web.Request, schema_name: str) -> Call:
    gateway = request[LIVE]
    body = await read_body(
        request,
        request[EXCHANGE],
        request[SNAPSHOT].config.limits.max_body_bytes,
        gateway.body_memory,
        host_may_decode=gateway.is_hosted,
    )
    if not body:
        raise InvalidRequest("body: empty; send a JSON object")
    call = parse_small(body, schema_name)
    return await gateway.turns.run(parse_steps(body, schema_name)) if call is None else call
