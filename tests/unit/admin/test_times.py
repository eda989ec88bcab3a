"""How long requests took of late: of what workers have counted since they began, what came in the last minutes."""

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.admin.times import LATELY_MS, Lately
from proxy.telemetry.series import FIRST_BYTE_S, REQUEST_S
from proxy.telemetry.tally import Histogram, Tally, Times
from proxy.upstreams.report import Report

AT_MS = 1_795_000_000_000
NOTHING: dict[str, Any] = {"p50": None, "p95": None}


def counted(upstream: str, totals: dict[int, int], firsts: dict[int, int] | None = None) -> Report:
    """Return what a worker says that has counted so many requests, by the place of their bucket."""
    report = Report(upstream, True, [], None, 0, [], None)
    report.total = Times([totals.get(n, 0) for n in range(len(REQUEST_S) + 1)], 0.0)
    of_firsts = totals if firsts is None else firsts
    report.first_byte = Times([of_firsts.get(n, 0) for n in range(len(FIRST_BYTE_S) + 1)], 0.0)
    return report


def lately(*steps: tuple[int, Sequence[Sequence[Report] | None]]) -> Lately:
    """Keep what workers say at some times, and take what they say last, without keeping it."""
    known = Lately()
    for at_ms, workers in steps[:-1]:
        known.take(workers)
        known.keep(at_ms)
    known.take(steps[-1][1])
    return known


def test_before_anything_is_kept_it_is_what_came_since_the_workers_began() -> None:
    known = lately(
        (AT_MS, [[counted("a", {3: 10})], [counted("a", {3: 10}), counted("b", {4: 5})]])
    )
    assert known.since_ms is None
    assert known.of("a")["requests"] == 20
    assert known.of("b")["requests"] == 5
    assert known.of()["requests"] == 25
    assert known.of("c") == {"requests": 0, "first_byte_ms": NOTHING, "total_ms": NOTHING}


def test_a_percentile_lies_in_its_bucket_as_far_as_it_is_full() -> None:
    """Of 100 between 0.5 and 1 s, the 50th is at 750 ms; where the last bucket has no bound, it is at its begin."""
    told = lately((AT_MS, [[counted("a", {3: 100}, {0: 100})]])).of("a")
    assert told["total_ms"] == {"p50": 750, "p95": 975}
    assert told["first_byte_ms"] == {"p50": 25, "p95": 48}
    beyond = lately((AT_MS, [[counted("a", {len(REQUEST_S): 1})]])).of("a")
    assert beyond["total_ms"] == {"p50": 640_000, "p95": 640_000}


def test_only_the_last_minutes_count() -> None:
    minute = 60_000
    steps = [(AT_MS + n * minute, [[counted("a", {0: 1_000, 9: n})]]) for n in range(30)]
    known = lately(*steps, (0, [[counted("a", {0: 1_000, 9: 30})]]))
    assert known.since_ms == AT_MS + 29 * minute - LATELY_MS
    assert known.of("a")["requests"] == 16
    assert known.of("a")["total_ms"]["p50"] > 40_000


def test_a_worker_that_began_anew_counts_with_all_that_it_says_and_a_silent_one_with_what_it_said() -> (
    None
):
    before = [[counted("a", {3: 100})], [counted("a", {3: 50})]]
    known = lately((AT_MS, before), (0, [[counted("a", {3: 7})], None]))
    assert known.of("a")["requests"] == 7
    back = lately((AT_MS, before), (AT_MS + 1, [[counted("a", {3: 100})], None]), (0, [*before]))
    assert back.of("a")["requests"] == 0


def test_a_worker_tells_the_times_of_an_upstream_over_all_of_its_models() -> None:
    tally = Tally()
    for model, at, place in (("opus", "a", 3), ("haiku", "a", 3), ("opus", "b", 5)):
        of_model, _ = tally.models.at(model, at)
        of_model.request.counts[place] += 2
        of_model.first_byte.counts[0] += 1
    told = tally.times()
    assert {at: (sum(first.counts), sum(total.counts)) for at, (first, total) in told.items()} == {
        "a": (2, 4),
        "b": (1, 2),
    }
    # What is told is apart from what is counted on.
    assert tally.models.at("opus", "a")[0].request.counts[3] == 2
    assert sum(Histogram(REQUEST_S).counts) == 0


@pytest.mark.parametrize("percent", ["p50", "p95"])
def test_one_request_is_every_percentile(percent: str) -> None:
    told = lately((AT_MS, [[counted("a", {4: 1})]])).of()
    assert 1_000 < told["total_ms"][percent] <= 2_500
