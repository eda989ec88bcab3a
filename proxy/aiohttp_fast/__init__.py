"""What rests on the inside of aiohttp, each piece beside a plain twin by its public API only. A leaf: nothing of ours.

The fast pieces are taken when the installed aiohttp is one they were proved on, and `ANYROUTER_PLAIN` is unset; the
plain ones otherwise, which are also their specification. Nobody else in the package names what aiohttp keeps private.
"""

import os
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.streams import EMPTY_PAYLOAD as NO_BODY

from proxy.aiohttp_fast.resolver import Resolver
from proxy.aiohttp_fast.twins import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INTERIM_HEADS,
    MAX_LINE_BYTES,
    HeadTooLargeError,
    Pieces,
    StaleConnectionError,
    TooManyInterimHeadsError,
)

# The releases that the fast pieces were proved on: any other may have changed what they rest on.
PROVED = ("3.14.5",)
IS_FAST = aiohttp.__version__ in PROVED and not os.environ.get("ANYROUTER_PLAIN")

# The types are those of the fast pieces, whichever are taken: each plain one offers what is used of its twin.
if TYPE_CHECKING or IS_FAST:
    from proxy.aiohttp_fast.client import Client, RequestTemplate, UpstreamResponse
    from proxy.aiohttp_fast.heads import TransparentResponse
    from proxy.aiohttp_fast.pipe import Pipe
    from proxy.aiohttp_fast.reading import take_whole
    from proxy.aiohttp_fast.request_handler import RequestHandler
    from proxy.aiohttp_fast.response import whole_response
    from proxy.aiohttp_fast.static_routes import route_early
else:
    from proxy.aiohttp_fast.plain import (
        Pipe,
        RequestHandler,
        TransparentResponse,
        route_early,
        take_whole,
        whole_response,
    )
    from proxy.aiohttp_fast.plain_client import Client, RequestTemplate, UpstreamResponse

__all__ = [
    "IS_FAST",
    "MAX_HEADERS",
    "MAX_HEAD_BYTES",
    "MAX_INTERIM_HEADS",
    "MAX_LINE_BYTES",
    "NO_BODY",
    "PROVED",
    "Client",
    "HeadTooLargeError",
    "Pieces",
    "Pipe",
    "RequestHandler",
    "RequestTemplate",
    "Resolver",
    "StaleConnectionError",
    "TooManyInterimHeadsError",
    "TransparentResponse",
    "UpstreamResponse",
    "route_early",
    "take_whole",
    "whole_response",
]
