"""What the guard puts into a request for the chain and the handlers after it."""

from proxy.aiohttp_fast.keys import RequestKey
from proxy.exchange import Exchange
from proxy.gateway import Snapshot

EXCHANGE = RequestKey("exchange", Exchange)
SNAPSHOT = RequestKey("snapshot", Snapshot)
