"""What the guard puts into a request for the chain and the handlers after it."""

from aiohttp import web

from proxy.exchange import Exchange
from proxy.gateway import Snapshot

EXCHANGE = web.RequestKey("exchange", Exchange)
SNAPSHOT = web.RequestKey("snapshot", Snapshot)
