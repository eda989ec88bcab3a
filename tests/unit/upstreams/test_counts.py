"""What upstreams were asked, and how that is reported."""

import dataclasses
from typing import Any

import pytest

from proxy.config import Config, Model, Upstream
from proxy.routing.router import Route
from proxy.upstreams.counts import Count, Counts
from proxy.upstreams.health import Place
from proxy.upstreams.report import reports
from proxy.upstreams.standing import Standing

MODEL = Model("anthropic/m", "pool")
A = Route("a", "m", MODEL, "m", pool="pool")
B = dataclasses.replace(A, upstream="b")
FIELDS = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "7",
}
CONFIG = Config(upstreams=(Upstream("a", "http://a"), Upstream("b", "http://b")), models=(MODEL,))


def test_a_request_answered_away_from_home_is_both_upstreams() -> None:
    counts = Counts()
    counts.asked(A, None)
    counts.failed(A, "529", 1.0)
    counts.asked(B, {"input_tokens": 5, "cache_read_input_tokens": 90})
    counts.at_home("a", B)
    assert counts.of("a") == {"pool": Count(requests=1, failures=1, homes=1, moved_away=1)}
    assert counts.of("b") == {"pool": Count(requests=1, stood_in=1, cache_read=90, uncached=5)}


@pytest.mark.parametrize("odd", [None, True, -1, "7", 1.5, 1 << 60, [1]], ids=repr)
def test_a_count_that_is_none_counts_nothing(odd: Any) -> None:
    counts = Counts()
    usage = {
        "input_tokens": odd,
        "cache_read_input_tokens": odd,
        "cache_creation_input_tokens": odd,
    }
    counts.asked(A, usage)
    assert counts.of("a") == {"pool": Count(requests=1)}


def test_an_account_is_read_once_a_second_and_kept_by_answers_that_say_nothing() -> None:
    counts = Counts()
    counts.told("a", FIELDS, 10.0)
    counts.told("a", {**FIELDS, "anthropic-ratelimit-requests-remaining": "6"}, 10.9)
    assert counts.accounts["a"].kinds["requests"].remaining == 7
    counts.told("a", {}, 11.0)
    assert counts.accounts["a"].kinds["requests"].remaining == 7
    counts.told("a", {**FIELDS, "anthropic-ratelimit-requests-remaining": "5"}, 12.0)
    assert counts.accounts["a"].kinds["requests"].remaining == 5


def test_an_upstream_that_is_another_account_begins_anew() -> None:
    standing = Standing()
    for route in (A, B):
        standing.counts.asked(route, None)
        standing.counts.failed(route, "529", 1.0)
        standing.counts.told(route.upstream, FIELDS, 1.0)
    other = dataclasses.replace(CONFIG.upstreams[0], base_url="http://other")
    standing.follow(CONFIG, dataclasses.replace(CONFIG, upstreams=(other, CONFIG.upstreams[1])), 2)
    of_a, of_b = reports(CONFIG, standing, (), 3.0, 3_000)
    assert (of_a.shares, of_a.last_error, of_a.account) == ([], None, None)
    assert of_b.shares[0].count.failures == 1


def test_a_report_tells_what_cools_since_when_and_for_how_long() -> None:
    standing = Standing()
    standing.health.cool(Place("a", "m"), 100.0, "429", 30)
    standing.health.cool(Place("a", None), 104.0, "401", 60)
    standing.health.cool(Place("a", "m"), 106.0, "429", 60)
    of_a, of_b = reports(CONFIG, standing, ("a", "a", "b"), 110.0, 1_000_000)
    found = [(each.model, each.why, each.since_ms, each.until_ms) for each in of_a.cooling]
    assert found == [(None, "401", 994_000, 1_054_000), ("m", "429", 990_000, 1_056_000)]
    assert (of_a.in_flight, of_b.in_flight, of_b.cooling) == (2, 1, [])


def test_a_second_cooldown_has_a_beginning_of_its_own() -> None:
    standing = Standing()
    standing.health.cool(Place("a", None), 10.0, "429", 5)
    standing.health.cool(Place("a", None), 20.0, "429", 5)
    (of_a, _) = reports(CONFIG, standing, (), 21.0, 21_000)
    assert [each.since_ms for each in of_a.cooling] == [20_000]


def test_an_upstream_that_is_no_longer_configured_is_told_while_requests_are_at_it() -> None:
    *known, gone = reports(CONFIG, Standing(), ("gone",), 1.0, 1_000)
    assert [each.is_configured for each in known] == [True, True]
    assert (gone.upstream, gone.is_configured, gone.in_flight) == ("gone", False, 1)


def test_ids_that_clients_choose_fill_no_report() -> None:
    standing = Standing()
    for number in range(1_000):
        standing.health.cool(Place("a", f"{number}-{'x' * 1_000}"), 1.0, "429", number)
    (of_a, _) = reports(CONFIG, standing, (), 1.0, 1_000)
    assert len(of_a.cooling) == 20
    assert max(len(each.model or "") for each in of_a.cooling) == 100
    assert of_a.cooling[0].until_ms == 1_000_000
