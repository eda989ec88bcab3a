"""Access lines of made exchanges."""

import asyncio
from typing import Any

from proxy.access.user_agents import Client
from proxy.config import Key, Log, Model
from proxy.exchange import Exchange
from proxy.money.bill import Bill, UsageSource
from proxy.pooled import Attempt, Pooled
from proxy.received import Received
from proxy.routing.router import Route
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.looks import Look


def ended_exchange(**values: Any) -> Exchange:
    """Return an exchange that has ended; `values` by the names of the line's fields."""
    head: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/messages",
        "client": "::1",
        "id": "req_1",
    }
    head |= {name: values.pop(name) for name in (*head, "at_unix_s") if name in values}
    exchange = Exchange(Received(**{"at_unix_s": 1_795_000_000.25, **head}, started_s=100.0))
    if "key" in values:
        exchange.key = Key(name=values.pop("key"), sha256="")
    if "upstream" in values:
        model = Model("anthropic/m", "a")
        name, sent = values.pop("upstream"), values.pop("upstream_model")
        exchange.route = Route(name, sent, model, "m", pool=values.pop("pool", None))
    if "attempts" in values:
        home = "b" if values.pop("away") else "a"
        tried = [Attempt(**each) for each in values.pop("attempts")]
        exchange.pooled = Pooled(home, values.pop("affinity"), attempts=tried)
    if "client_product" in values:
        exchange.client = Client(values.pop("client_product"), values.pop("client_version"))
    if "cost_micros" in values:
        cost, source = values.pop("cost_micros"), values.pop("usage_source")
        exchange.bill = Bill(cost_micros=cost, usage_source=UsageSource(source))
    for name, value in values.items():
        setattr(exchange, name, value)
    return exchange


def lines(settings: Log, look: Look | None = None, **values: Any) -> list[bytes]:
    async def written() -> list[bytes]:
        found: list[bytes] = []
        AccessLog(found.append, settings, look).ended(ended_exchange(**values))
        return found

    return asyncio.run(written())


def line(look: Look, **values: Any) -> bytes:
    (only,) = lines(Log(), look, **values)
    return only
