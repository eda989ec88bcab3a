"""The links of the routes' chains, in their order: draining, authentication and version; body and route; limits.

Which route has which is in `routes.py`. Each link is given the handler behind it, returns the one that stands before
it, and puts what it found into the request's `Exchange`.
"""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.access.keys import KeyRefused
from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.api.request_body import read_body
from proxy.config import Key
from proxy.errors import Draining, InvalidRequest, KeysUnavailable
from proxy.exchange import Exchange
from proxy.protocol import headers, hints, json_members
from proxy.protocol.call import Call
from proxy.protocol.parse import parse_small, parse_steps
from proxy.protocol.version import check_version
from proxy.routing.named_models import with_named

# Not a middleware of aiohttp's, which is given its handler anew at each request.
Link = Callable[[Handler], Handler]

_MAX_LOGGED_ID_CHARS = 100


def check_head(endpoint: str, *, needs_version: bool = True) -> Link:
    """Return the link that looks at a request's head, before a byte of its body is read.

    It takes no new request while the process is about to end, and finds whose key the request carries. It requires a
    well-formed and accepted `anthropic-version`, which is forwarded as it came.

    Args:
        endpoint: what is asked for, in the ledger's words.
        needs_version: whether it has versions.
    """

    def link(handler: Handler) -> Handler:
        async def check(request: web.Request) -> web.StreamResponse:
            exchange, gateway = request[EXCHANGE], request[LIVE]
            if gateway.draining:
                raise Draining
            fields = request.headers
            if gateway.authenticate is not None:
                exchange.key = await gateway.host_key(request)
            if exchange.key is None:
                try:
                    exchange.key = _find_key(request, endpoint)
                except KeysUnavailable:
                    # Just after the start, it may be one of the store, whose keys come in a moment.
                    if gateway.tenancy is None or not await gateway.tenancy.first_keys.came():
                        raise
                    exchange.key = _find_key(request, endpoint)
            exchange.endpoint = endpoint
            exchange.session_id = _cut(fields.get(headers.SESSION_ID))
            exchange.agent_id = _cut(fields.get(headers.AGENT_ID))
            if gateway.tenancy is not None:
                exchange.hints = hints.read(fields)
                exchange.prices = gateway.tenancy.prices
            if needs_version:
                versions = fields.getall(headers.ANTHROPIC_VERSION, ())
                check_version(versions, request[SNAPSHOT].config.anthropic_versions)
            return await handler(request)

        return check

    return link


def _find_key(request: web.Request, endpoint: str) -> Key:
    tenancy = request[LIVE].tenancy
    managed = None if tenancy is None else tenancy.managed
    try:
        return request[SNAPSHOT].key_ring.authenticate(request.headers, managed)
    except KeyRefused as error:
        # Whose it was is known: it is counted, and kept in the ledger, as what else its key is refused.
        exchange = request[EXCHANGE]
        exchange.refused_key, exchange.endpoint = error.key, endpoint
        raise


def caller(request: web.Request) -> Key:
    """Return whose request it is, behind `check_head`.

    Raises:
        RuntimeError: the route's chain finds no key.
    """
    key = request[EXCHANGE].key
    if key is None:
        raise RuntimeError("the route's chain finds no key")
    return key


def _cut(value: str | None) -> str | None:
    return value[:_MAX_LOGGED_ID_CHARS] if value else None


def route_model(schema_name: str) -> Link:
    """Return the link that reads the body, checks it against a schema, and finds the upstream of its model."""

    def link(handler: Handler) -> Handler:
        async def route(request: web.Request) -> web.StreamResponse:
            exchange = request[EXCHANGE]
            call = await _read_call(request, exchange, schema_name)
            exchange.stream = call.stream
            exchange.model = _cut(call.model)
            exchange.body_bytes, exchange.max_tokens = len(call.body), call.max_tokens
            snapshot, may_use = request[SNAPSHOT], caller(request).models
            router = snapshot.router
            found = router.find_for(may_use, call.model)
            if call.named:
                found = with_named(call, found, router, may_use)
            # Of a pool, perhaps nobody is asked who wants it written anew.
            is_anew = not found.choices and snapshot.upstreams[found.upstream].is_rewritten
            if is_anew and exchange.body_permit is not None:
                exchange.body_permit.hold_at_least(2 * len(call.body))
            exchange.call, exchange.route = call, found
            # The exchange lets go of it once it is answered, while this frame waits for the handler.
            del call
            return await handler(request)

        return route

    return link


def admit(handler: Handler) -> Handler:
    """Let the request in, unless a limit or a budget of its key, its key's owner or all together is against it."""

    async def reserve(request: web.Request) -> web.StreamResponse:
        exchange, tenancy = request[EXCHANGE], request[LIVE].tenancy
        if exchange.call is not None:
            # Read for its cost alone, as `reckoned` says of the rest.
            exchange.speed = _word(exchange.call, "speed")
            exchange.geo = _word(exchange.call, "inference_geo")
        exchange.reckoned = True
        if tenancy is not None:
            await tenancy.admission.admit(exchange)
        return await handler(request)

    return reserve


def _word(call: Call, name: str) -> str | None:
    """Return the value of a member that is one plain word, however the body was read."""
    if name not in call.members and name not in call.spans:
        return None
    # One byte more shows that it goes on.
    return json_members.word(call.beginning(name, json_members.MAX_WORD_BYTES + 1))


async def _read_call(request: web.Request, exchange: Exchange, schema_name: str) -> Call:
    gateway = request[LIVE]
    body = await read_body(
        request,
        exchange,
        request[SNAPSHOT].config.limits.max_body_bytes,
        gateway.body_memory,
        host_may_decode=gateway.is_hosted,
    )
    if not body:
        raise InvalidRequest("body: empty; send a JSON object")
    call = parse_small(body, schema_name)
    return await gateway.turns.run(parse_steps(body, schema_name)) if call is None else call
