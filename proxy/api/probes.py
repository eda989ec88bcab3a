"""What answers without a key: is anybody there, is the process up, is it ready."""

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.access.keys import read_keys
from proxy.api.context import EXCHANGE, LIVE, SNAPSHOT
from proxy.errors import KeysUnavailable, Unauthenticated
from proxy.gateway import GATEWAY
from proxy.version import __version__

_HELLO = {"service": "anyrouter", "version": __version__}

HEALTHY = b'{"status":"ok"}'


def mark_probe(handler: Handler) -> Handler:
    """Record that the request asks for nothing of the API: balancers ask every other second."""

    async def probe(request: web.Request) -> web.StreamResponse:
        request[EXCHANGE].is_probe = True
        return await handler(request)

    return probe


async def say_hello(request: web.Request) -> web.Response:
    """Serve `HEAD|GET /` and `/api/hello`: clients look whether anybody is there, and whose their key is.

    Who brings a key asks about it, which is more than a probe: it is in the log.
    """
    gateway = request[LIVE]
    request[EXCHANGE].is_probe = not read_keys(request.headers)
    key = await gateway.host_key(request)
    if key is None:
        tenancy = gateway.tenancy
        if tenancy is not None and read_keys(request.headers):
            await tenancy.first_keys.came()
        managed = None if tenancy is None else tenancy.managed
        try:
            key = request[SNAPSHOT].key_ring.authenticate(request.headers, managed)
        except (Unauthenticated, KeysUnavailable):
            return _json(msgspec.json.encode(_HELLO))
    return _json(msgspec.json.encode({**_HELLO, "key": key.name}))


async def answer_options(_request: web.Request) -> web.Response:
    """Serve `OPTIONS /` and `OPTIONS *`, with which HAProxy asks whether a server is up."""
    return web.Response(status=204)


async def report_health(_request: web.Request) -> web.Response:
    """Serve `/healthz`: the process is up. The listener says so, too, when there is no room for a connection."""
    return _json(HEALTHY)


async def report_readiness(request: web.Request) -> web.Response:
    """Serve `/readyz`: 503 while draining, until one key at least can be known, and while the store's are coming."""
    gateway = request.app[GATEWAY]
    if gateway.leaving or gateway.draining:
        return _json(b'{"status":"draining"}', status=503)
    tenancy = gateway.tenancy
    has_keys = bool(gateway.snapshot.config.keys)
    if tenancy is not None and tenancy.first_keys.are_wanted(has_others=has_keys):
        return _json(b'{"status":"waiting for the keys of the store"}', status=503)
    return _json(b'{"status":"ready"}')


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")
