"""What a key is shown of its budgets: in cents and percent, the fullest first, and nothing of those in shadow mode."""

from typing import Any

import pytest

from proxy.api.usage import usage_of
from proxy.limits.periods import periods_at
from proxy.limits.policy import Counters, Subject
from proxy.limits.verdict import Reading

PERIODS = periods_at(1_790_000_000_000)
ENDS = {"daily": "2026-09-22T00:00:00.000Z", "monthly": "2026-10-01T00:00:00.000Z"}


def reading(name: str = "key a", *, day: int = 0, month: int = 0, **bounds: Any) -> Reading:
    subject = Subject(name, Counters(), **bounds)
    return Reading(subject, 0, 0, 0, 0, 0, 0, day_micros=day, month_micros=month)


def shown(*readings: Reading) -> tuple[dict[str, Any], list[tuple[str, int, str, bool]]]:
    told: Any = usage_of(readings, PERIODS)
    bars = [
        (*(each[k] for k in ("group", "percent", "resets_at", "is_active")),)
        for each in told["limits"]
    ]
    return told["extra_usage"], bars


CASES: dict[str, tuple[list[Reading], tuple[Any, Any, Any], list[tuple[str, int, bool]]]] = {
    "no budget: what its own month has come to": (
        [reading(month=1_234_567), reading("owner b", month=9_000_000)],
        (None, 123.4567, None),
        [],
    ),
    "a day": (
        [reading(day=250_000, day_micros=1_000_000)],
        (100.0, 25.0, 25),
        [("daily", 25, True)],
    ),
    "a day and a month, of which the month is fuller": (
        [reading(day=1, month=9_000_000, day_micros=10, month_micros=10_000_000)],
        (1000.0, 900.0, 90),
        [("daily", 10, False), ("monthly", 90, True)],
    ),
    "its owner's is fuller than its own": (
        [
            reading(month=1, month_micros=10),
            reading("owner b", day=5, day_micros=10),
        ],
        (0.001, 0.0005, 50),
        [("monthly", 10, False), ("daily", 50, True)],
    ),
    "more than all is all": (
        [reading(day=20, day_micros=10)],
        (0.001, 0.002, 100),
        [("daily", 100, True)],
    ),
    "a budget of nothing is spent": (
        [reading(day_micros=0)],
        (0.0, 0.0, 100),
        [("daily", 100, True)],
    ),
    "in shadow mode there is none": (
        [reading(day=5, month=7, day_micros=10, budgets_shadow=True)],
        (None, 0.0007, None),
        [],
    ),
    "nothing at all": ([], (None, 0, None), []),
}


@pytest.mark.parametrize(("readings", "usage", "bars"), CASES.values(), ids=CASES)
def test_a_key_is_shown_the_fullest_of_its_budgets_and_each_of_them(
    readings: list[Reading], usage: tuple[Any, Any, Any], bars: list[tuple[str, int, bool]]
) -> None:
    extra, limits = shown(*readings)
    assert (extra["monthly_limit"], extra["used_credits"], extra["utilization"]) == usage
    assert extra["is_enabled"] == bool(bars)
    assert limits == [(group, percent, ENDS[group], active) for group, percent, active in bars]
