"""However much clients invent, a worker has a bounded number of series."""

from collections.abc import Iterator

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy import Budgets, Key, Model, Quota, RateLimits, Upstream
from proxy.admin.families import exposition
from proxy.causes import Cause
from proxy.gateway import Gateway
from proxy.server.state import all_limits_here
from proxy.server.tally import tally_here
from proxy.telemetry.counting import Counting
from tests.support.ended import ended, route
from tests.support.gateways import config_for

_MOST = 9_000


def _ask(counting: Counting, first: int, names: Iterator[str]) -> None:
    """Have 10,000 requests counted, each of another client, model, path, session, status and cause."""
    causes = list(Cause)
    exchange = ended()
    for i in range(first, first + 10_000):
        name = next(names)
        exchange.key = Key(f"key-{i % 1000}")
        exchange.session_id = exchange.agent_id = exchange.model = name
        exchange.route = route(name, upstream=f"upstream-{i % 20}")
        if i % 3 == 0:
            model = Model(f"anthropic/mine-{i % 100}", "first")
            exchange.route = route(f"mine-{i % 100}", model, f"upstream-{i % 20}")
        exchange.status = 100 + i % 900
        exchange.cause = causes[i % len(causes)]
        exchange.received = msgspec.structs.replace(exchange.received, path=f"/{name}")
        # Every other path is none of the gateway's.
        exchange.endpoint = "messages" if i % 2 else ""
        counting.ended(exchange)


async def test_there_are_nine_thousand_at_most_and_none_is_added_after_that() -> None:
    limits = RateLimits(
        requests_per_minute=9,
        input_tokens_per_minute=9,
        output_tokens_per_minute=9,
        max_in_flight=9,
    )
    keys = tuple(Key(f"key-{i}", f"{i:064x}", limits=limits) for i in range(1000))
    upstreams = tuple(Upstream(f"upstream-{i}", "http://127.0.0.1:9") for i in range(20))
    config = config_for(
        "http://127.0.0.1:9",
        keys=keys,
        upstreams=upstreams,
        models=(Model("anthropic/*", "upstream-0"),),
        quota=Quota(each_key_budgets=Budgets(day_micros=9, month_micros=9)),
    )
    gateway = Gateway(config, ())
    gateway.begin_counting()
    counting, names = gateway.counting, map(str, range(1_000_000))
    assert counting is not None
    found = []
    for first in (0, 10_000, 20_000):
        _ask(counting, first, names)
        page = await all_limits_here(gateway, 200, "")
        text, _ = exposition([tally_here(gateway)], page["data"], [], "")
        families = list(text_string_to_metric_families(text.decode()))
        found.append(sum(len(each.samples) for each in families))
        by_name = {each.name: each.samples for each in families}
        counted = sum(each.value for each in by_name["anyrouter_requests"])
        assert counted == sum(each.value for each in by_name["anyrouter_key_requests"])
        assert counted == first + 10_000
    assert found[0] <= _MOST
    assert found[0] == found[1] == found[2]
