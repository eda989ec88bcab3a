"""A sweep that comes late judges nothing, the next one does."""

import pytest

from proxy.standstill import Standstill

CASES: dict[str, tuple[list[float], list[float]]] = {
    "in time": ([0, 1, 2, 3], []),
    "a little late": ([0, 1.9, 2.9, 4.8], []),
    "once very late": ([0, 1, 300, 301, 302], [300]),
    "twice": ([0, 100, 101, 200, 201], [100, 200]),
    "always late": ([0, 10, 20, 30, 40], [10, 30]),
}


@pytest.mark.parametrize(("sweeps", "skipped"), CASES.values(), ids=CASES)
def test_the_first_sweep_behind_a_standstill_judges_nothing(
    sweeps: list[float], skipped: list[float]
) -> None:
    standstill = Standstill(1.0)
    assert [now for now in sweeps if standstill.before(now)] == skipped


def test_a_pause_of_the_sweeps_is_no_standstill() -> None:
    standstill = Standstill(1.0)
    assert not standstill.before(0)
    standstill.forget()
    assert not standstill.before(300)
