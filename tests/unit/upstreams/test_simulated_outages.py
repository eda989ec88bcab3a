"""A pool in an outage, by simulated time: clients notice nothing where something is left, and nothing is multiplied."""

import pytest

from bench.failover import SCENARIOS, simulate


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_outage(name: str) -> None:
    seen = simulate(*SCENARIOS[name])
    assert seen.attempts <= seen.requests * 1.2 + 10
    if "everywhere" not in name:
        assert seen.failed == 0


def test_while_nothing_fails_the_caches_of_four_accounts_are_as_warm_as_that_of_one() -> None:
    four, one = (simulate(names, lambda *_: None) for names in ("abcd", "a"))
    assert abs(four.warm - one.warm) <= one.requests / 100
