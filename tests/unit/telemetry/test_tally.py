"""What a worker counts: every sum right, in a bounded number of places."""

import sys
import time
from typing import Any

import pytest

from fuzz.machine import slowness
from proxy.causes import Cause
from proxy.config import Key, Model
from proxy.exchange import Exchange
from proxy.money.bill import Bill, UsageSource
from proxy.money.usage import Sums
from proxy.routing.router import Route
from proxy.telemetry.counting import Counting
from proxy.telemetry.series import OUTCOME_OF, OUTCOMES
from proxy.telemetry.tally import MAX_KEYS, MAX_KINDS, MAX_MODELS, MAX_STATUSES, TallyTold
from tests.support.ended import BILL, EXACT, PRICES, ended, route


def counted(*exchanges: Exchange) -> TallyTold:
    counting = Counting()
    for exchange in exchanges:
        counting.ended(exchange)
    return counting.tally.told()


async def test_a_good_request_is_counted_once_in_each_group() -> None:
    told = counted(*[ended() for _ in range(3)])
    assert told.kinds == [(("messages", "200", ""), 3)]
    ((name, of_key),) = told.keys
    assert (name, of_key.outcomes) == ("laptop", [3, 0, 0, 0, 0])
    assert of_key.tokens == [3, 60, 150_000, 900, 12_000]
    assert of_key.micros == [369, 0, 0]
    ((names, of_model),) = told.models
    assert names == ("claude-sonnet-4-6", "first")
    assert (of_model.tokens, of_model.micros) == (of_key.tokens, 369)
    assert of_model.request.counts == [3] + [0] * 13
    assert (of_model.first_byte.counts[6], sum(of_model.first_byte.counts)) == (3, 3)
    assert of_model.first_byte.sum_s == pytest.approx(9)
    assert told.gateway.counts == [0, 0, 3] + [0] * 7
    assert (told.unpriced, told.folded) == (0, 0)


@pytest.mark.parametrize(
    ("given", "endpoint", "keys"),
    [
        ({"is_probe": True, "endpoint": "", "key": None}, "probe", 0),
        ({"endpoint": "", "key": None, "status": 401}, "other", 0),
        ({"endpoint": "models", "route": None, "bill": None}, "models", 1),
    ],
    ids=["probe", "unknown key", "nothing sent"],
)
async def test_what_asks_for_no_answer_is_counted_as_such(
    given: dict[str, Any], endpoint: str, keys: int
) -> None:
    told = counted(ended(**given))
    assert [names[0] for names, _ in told.kinds] == [endpoint]
    assert (len(told.keys), told.models) == (keys, [])


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        (None, "ok"),
        (Cause.LIMITED_REQUESTS, "limited"),
        (Cause.BUDGET_SPENT, "limited"),
        (Cause.LIMITS_UNAVAILABLE, "refused"),
        (Cause.INVALID_REQUEST, "refused"),
        (Cause.UPSTREAM_ERROR, "failed"),
        (Cause.INTERNAL, "failed"),
        (Cause.CLIENT_CLOSED, "left"),
        (Cause.CLIENT_STALLED, "left"),
    ],
)
def test_each_cause_is_somebodys(cause: Cause | None, outcome: str) -> None:
    assert OUTCOMES[OUTCOME_OF[cause]] == outcome
    assert set(OUTCOME_OF) == {None, *Cause}


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (route("claude-opus-4-8"), "claude-opus-4-8"),
        (route("claude-opus-4-8", EXACT), "claude-opus-4-8"),
        (route("mine", EXACT), "anthropic/mine"),
        (route("invented-by-a-client"), "other"),
    ],
    ids=["priced", "priced by another name", "of the catalog", "invented"],
)
async def test_a_model_is_named_as_prices_or_catalog_do(asked: Route, name: str) -> None:
    told = counted(ended(route=asked), ended(route=asked))
    assert [names for names, _ in told.models] == [(name, "first")]
    assert told.models[0][1].micros == 2 * BILL.cost_micros


async def test_sums_stay_right_when_places_are_out() -> None:
    counting = Counting()
    for i in range(1000):
        counting.ended(ended(key=Key(f"key-{i}")))
        counting.ended(ended(status=200 + i, cause=Cause.UPSTREAM_ERROR))
        counting.ended(ended(route=route(f"mine-{i}", Model(f"anthropic/mine-{i}", "first"))))
        counting.ended(ended(endpoint="count_tokens", status=100 + i % 900, cause=Cause.INTERNAL))
    told = counting.tally.told()
    assert sum(count for _, count in told.kinds) == 4000
    assert sum(sum(of.outcomes) for _, of in told.keys) == 4000
    for of_all in (told.keys, told.models):
        assert sum(of.tokens[2] for _, of in of_all) == 4000 * 50000
    assert sum(sum(of.request.counts) for _, of in told.models) == 4000
    assert len(told.kinds) <= MAX_KINDS + 1
    assert len({names[1] for names, _ in told.kinds}) <= MAX_STATUSES + 1
    assert (len(told.keys), len(told.models)) == (MAX_KEYS + 1, MAX_MODELS + 1)
    assert {"other", "laptop"} <= {name for name, _ in told.keys}
    assert told.folded > 0


async def test_what_no_price_is_known_of_is_counted() -> None:
    unknown = Bill((), Sums(1), 5, UsageSource.ESTIMATED, f"unknown@{PRICES.version}")
    told = counted(ended(bill=unknown), ended())
    assert told.unpriced == 1
    assert told.keys[0][1].micros == [123, 0, 5]


async def test_another_configuration_may_name_a_model_anew() -> None:
    counting = Counting()
    asked = route("mine", EXACT)
    counting.ended(ended(route=asked))
    counting.forget()
    counting.ended(ended(route=asked))
    assert [of.micros for _, of in counting.tally.told().models] == [2 * BILL.cost_micros]


async def test_it_costs_two_microseconds_and_leaves_nothing_of_a_request() -> None:
    counting, exchange = Counting(), ended()
    counting.ended(exchange)
    rounds, best = 1000, float("inf")
    tracer = sys.gettrace()  # coverage's, which would be most of what is measured
    sys.settrace(None)
    for _ in range(50):
        began = time.thread_time()
        for _ in range(rounds):
            counting.ended(exchange)
        best = min(best, (time.thread_time() - began) / rounds)
    best /= slowness()
    sys.settrace(tracer)
    assert best < 10e-6, "what else a process does may be in it, but not five times as much"
    assert len(counting.tally.told().keys) == 1
