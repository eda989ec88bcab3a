"""The table of what is served: method, path, chain, handler. A further endpoint is one more row."""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy import received
from proxy.api.chain import Link, admit, check_head, route_model
from proxy.api.messages import relay_count_tokens, relay_messages
from proxy.api.models import get_model, list_models
from proxy.api.probes import (
    answer_options,
    mark_probe,
    report_health,
    report_readiness,
    say_hello,
)
from proxy.api.request_body import defer_continue
from proxy.api.usage import report_usage
from proxy.protocol.call import COUNT_TOKENS, MESSAGES


class Endpoint(NamedTuple):
    """One row: `chain` are its links, outermost first; GET answers HEAD, too."""

    method: str
    path: str
    chain: tuple[Link, ...]
    handler: Handler

    def without(self, link: Link) -> "Endpoint":
        """Return the row without one of its links."""
        return self._replace(chain=tuple(each for each in self.chain if each is not link))


OPEN = (mark_probe,)

# Below /v1. Some clients leave it out, and some write it twice: see `add`.
API = (
    Endpoint(
        "POST",
        "/messages",
        (check_head(received.MESSAGES), route_model(MESSAGES), admit),
        relay_messages,
    ),
    Endpoint(
        "POST",
        "/messages/count_tokens",
        (check_head(received.COUNT_TOKENS), route_model(COUNT_TOKENS), admit),
        relay_count_tokens,
    ),
    Endpoint("GET", "/models", (check_head(received.MODELS),), list_models),
    Endpoint("GET", "/models/{model_id:[^/].*}", (check_head(received.MODELS),), get_model),
)
# Claude Code looks for it below the base URL it was given, or below the origin.
USAGE = Endpoint(
    "GET", "/api/oauth/usage", (check_head(received.USAGE, needs_version=False),), report_usage
)
PROBES = (
    Endpoint("GET", "", OPEN, say_hello),
    Endpoint("GET", "/", OPEN, say_hello),
    # HAProxy asks by OPTIONS, for the path it is told, unless it is told a method as well.
    Endpoint("OPTIONS", "/", OPEN, answer_options),
    Endpoint("OPTIONS", "/healthz", OPEN, report_health),
    Endpoint("OPTIONS", "/readyz", OPEN, report_readiness),
    Endpoint("GET", "/hello", OPEN, say_hello),
    # Clients look for it below the base URL they were given, or below the origin.
    Endpoint("GET", "/api/hello", OPEN, say_hello),
    Endpoint("GET", "/healthz", OPEN, report_health),
    Endpoint("GET", "/readyz", OPEN, report_readiness),
)


def add(router: web.UrlDispatcher, bases: Sequence[str], *, limited: bool) -> None:
    """Add every endpoint, below each base and in each spelling that clients make of a base URL.

    Official SDKs append `/v1/messages` to the base URL, many other clients `/messages`, and both read the same
    variable; people add slashes at its end, or `/v1`. All spellings lead to one handler behind one chain. Those without
    doubled slashes are routes without parameters, which are found fastest.

    Args:
        router: of an application that nothing else adds routes to.
        bases: paths to serve below: `""`, or one that starts with a slash.
        limited: whether there are limits or a ledger: else nothing of them is in any chain, nor their endpoint.
    """
    api = API if limited else [each.without(admit) for each in API]
    for base in bases:
        for each in (*PROBES, USAGE) if limited else PROBES:
            _add(router, base + each.path, each)
        for prefix in ("/v1", ""):
            for each in api:
                _add(router, base + prefix + each.path, each)
    optional_bases = "".join(f"(?:{re.escape(base[1:])}/+)?" for base in bases if base)
    for each in api:
        fixed, parameter, rest = each.path.partition("{")
        segments = "/+".join(map(re.escape, fixed.strip("/").split("/")))
        end = "/+" if parameter else "/*"
        spelling = f"/*{optional_bases}(?:v1/+){{0,2}}{segments}{end}"
        _add(router, f"/{{spelling:{spelling}}}{parameter}{rest}", each)


def _add(router: web.UrlDispatcher, path: str, endpoint: Endpoint) -> None:
    handler = endpoint.handler
    for link in reversed(endpoint.chain):
        handler = link(handler)
    add_route = (
        router.add_get
        if endpoint.method == "GET"
        else functools.partial(router.add_route, endpoint.method)
    )
    add_route(path, handler, expect_handler=defer_continue)
