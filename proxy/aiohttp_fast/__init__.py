"""What rests on the inside of aiohttp, each piece beside a plain twin by its public API only. A leaf: nothing of ours.

The fast pieces are taken when the installed aiohttp is one they were proved on, and `ANYROUTER_PLAIN` is unset; the
plain ones otherwise, which are also their specification. Nobody else in the package names what aiohttp keeps private.
"""

import os

import aiohttp
from aiohttp.streams import EMPTY_PAYLOAD as NO_BODY

# The first release that the fast pieces were proved on, and the first one that they were not.
PROVED_FROM = (3, 14, 5)
PROVED_BELOW = (3, 15)


def _is_proved(version: str) -> bool:
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    return PROVED_FROM <= numbers < PROVED_BELOW


IS_FAST = _is_proved(aiohttp.__version__) and not os.environ.get("ANYROUTER_PLAIN")

if IS_FAST:
    from proxy.aiohttp_fast.pipe import Pipe
    from proxy.aiohttp_fast.request_handler import RequestHandler
    from proxy.aiohttp_fast.response import whole_response
else:
    from proxy.aiohttp_fast.plain import (  # type: ignore[assignment] # of the same shape
        Pipe,
        RequestHandler,
        whole_response,
    )

__all__ = [
    "IS_FAST",
    "NO_BODY",
    "PROVED_BELOW",
    "PROVED_FROM",
    "Pipe",
    "RequestHandler",
    "whole_response",
]
