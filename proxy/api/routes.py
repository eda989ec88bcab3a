"""The table of what is served: method, path, chain, handler. A further endpoint is one more row."""

import functools
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.api.chain import authenticate, refuse_while_draining, require_version, route_model
from proxy.api.messages import (
    COUNT_TOKENS_PATH,
    MESSAGES_PATH,
    relay_count_tokens,
    relay_messages,
)
from proxy.api.models import get_model, list_models
from proxy.api.probes import report_health, report_readiness, say_hello
from proxy.api.request_body import defer_continue
from proxy.protocol.call import COUNT_TOKENS, MESSAGES

HELLO_PATH = "/api/hello"


class Endpoint(NamedTuple):
    """One row: `chain` are middlewares, outermost first; GET answers HEAD, too."""

    method: str
    path: str
    chain: tuple[Middleware, ...]
    handler: Handler


KEYED = (refuse_while_draining, authenticate, require_version)
OPEN = ()

ENDPOINTS = (
    Endpoint("POST", MESSAGES_PATH, (*KEYED, route_model(MESSAGES)), relay_messages),
    Endpoint("POST", COUNT_TOKENS_PATH, (*KEYED, route_model(COUNT_TOKENS)), relay_count_tokens),
    Endpoint("GET", "/v1/models", KEYED, list_models),
    Endpoint("GET", "/v1/models/{model_id:.+}", KEYED, get_model),
    Endpoint("GET", "", OPEN, say_hello),
    Endpoint("GET", "/", OPEN, say_hello),
    Endpoint("GET", "/hello", OPEN, say_hello),
    Endpoint("GET", "/healthz", OPEN, report_health),
    Endpoint("GET", "/readyz", OPEN, report_readiness),
)
# Clients look for it at this very path, whatever the API's own is.
AT_THE_ROOT = (Endpoint("GET", HELLO_PATH, OPEN, say_hello),)


def add(router: web.UrlDispatcher, base_path: str, endpoints: Iterable[Endpoint]) -> None:
    """Add endpoints below a path: `""`, or one that starts with a slash."""
    for method, path, chain, handler in endpoints:
        behind: Handler = handler
        for middleware in reversed(chain):
            behind = functools.partial(middleware, handler=behind)
        add_route = (
            router.add_get if method == "GET" else functools.partial(router.add_route, method)
        )
        add_route(base_path + path, behind, expect_handler=defer_continue)
