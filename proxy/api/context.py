"""What the guard puts into a request for the chain and the handlers after it."""

from typing import TYPE_CHECKING

from aiohttp import web

from proxy.exchange import Exchange
from proxy.gateway import Snapshot

# Before aiohttp 3.14 a request takes any key, and only applications have typed ones.
if TYPE_CHECKING or hasattr(web, "RequestKey"):
    from aiohttp.web import RequestKey as _Key
else:
    from aiohttp.web import AppKey as _Key

EXCHANGE = _Key("exchange", Exchange)
SNAPSHOT = _Key("snapshot", Snapshot)
