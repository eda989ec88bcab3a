"""A pool in an outage, by simulated time: clients notice nothing where something is left, and nothing is multiplied."""

import functools

import pytest

from bench.failover import SCENARIOS, Seen, simulate

# How many upstreams fail, where it is these and not all of them.
FAILING = {
    name: 2 if name.startswith("two of three") else 1
    for name in SCENARIOS
    if "everywhere" not in name and name != "nothing fails"
}


@functools.cache
def seen_in(name: str) -> Seen:
    return simulate(*SCENARIOS[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_outage(name: str) -> None:
    seen = seen_in(name)
    assert seen.attempts <= seen.requests * 1.2 + 10
    if "everywhere" not in name:
        assert seen.failed == 0


@pytest.mark.parametrize(("name", "failing"), FAILING.items(), ids=FAILING)
def test_no_conversation_moves_twice_for_one_outage(name: str, failing: int) -> None:
    """It leaves its home once, for one stand-in for each upstream that fails, and comes home once; others stay."""
    ways = seen_in(name).ways.values()
    moved = [way for way in ways if len(way) > 1]
    assert 0 < len(moved) < len(ways)
    for way in moved:
        home, *stand_ins, last = way
        assert last == home
        assert len({home, *stand_ins}) == 1 + len(stand_ins)
        assert 1 <= len(stand_ins) <= failing


def test_while_nothing_fails_the_caches_of_four_accounts_are_as_warm_as_that_of_one() -> None:
    four, one = seen_in("nothing fails"), simulate("a", lambda *_: None)
    assert abs(four.warm - one.warm) <= one.requests / 100
    assert all(len(way) == 1 for way in four.ways.values())
