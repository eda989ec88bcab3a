"""Exchanges that have ended, without a gateway."""

from typing import Any

from proxy.config import Key, Model
from proxy.exchange import Exchange
from proxy.money import price_file
from proxy.money.bill import Bill, UsageSource
from proxy.money.usage import Sums
from proxy.progress import Progress
from proxy.received import Received
from proxy.routing.router import Route

PRICES = price_file.load()
EXACT, WILDCARD = Model("anthropic/mine", "first"), Model("anthropic/*", "first")
PRICE = f"claude-sonnet-4-6@{PRICES.version}"
BILL = Bill((), Sums(1, 20, 300, 4000, 50000, 0), 123, UsageSource.REPORTED, PRICE)


def route(native: str, model: Model = WILDCARD, upstream: str = "first", **more: Any) -> Route:
    return Route(upstream, native, model, f"anthropic/{native}", native=native, **more)


def ended(**given: Any) -> Exchange:
    """Return an exchange that went well, but for what is given."""
    exchange = Exchange(Received("POST", "/v1/messages", None))
    usual = {
        "key": Key("laptop"),
        "endpoint": "messages",
        "status": 200,
        "route": route("claude-sonnet-4-6"),
        "prices": PRICES,
        "progress": Progress.COMPLETE,
        "first_byte_s": exchange.received.started_s + 3,
        "gateway_s": 0.0015,
        "bill": BILL,
    }
    for name, value in (usual | given).items():
        setattr(exchange, name, value)
    return exchange
