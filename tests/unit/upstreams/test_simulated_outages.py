"""A pool in an outage, by simulated time: clients notice nothing where something is left, and nothing is multiplied."""

import pytest

from bench.failover import SCENARIOS, simulate


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_outage(name: str) -> None:
    seen = simulate(*SCENARIOS[name])
    assert seen.attempts <= seen.requests * 1.2 + 10
    if "everywhere" not in name:
        assert seen.failed == 0
