"""Budgets know days and months of UTC, to the millisecond."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.periods import is_past, periods_at, periods_of_day


def _ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


EDGES = [
    ("a day's first moment", "2026-11-26T00:00:00+00:00", 20783, 24323),
    ("a millisecond earlier", "2026-11-25T23:59:59.999+00:00", 20782, 24323),
    ("a month's last moment", "2026-11-30T23:59:59.999+00:00", 20787, 24323),
    ("a month's first", "2026-12-01T00:00:00+00:00", 20788, 24324),
    ("a year's last", "2026-12-31T23:59:59.999+00:00", 20818, 24324),
    ("a year's first", "2027-01-01T00:00:00+00:00", 20819, 24325),
    ("a leap day", "2028-02-29T12:00:00+00:00", 21243, 24338),
    ("a zone is none of ours", "2026-11-26T01:00:00+02:00", 20782, 24323),
]


@pytest.mark.parametrize(
    ("text", "day", "month"), [row[1:] for row in EDGES], ids=[row[0] for row in EDGES]
)
def test_a_moment_belongs_to_one_day_and_one_month(text: str, day: int, month: int) -> None:
    periods = periods_at(_ms(text))
    assert (periods.day, periods.month) == (day, month)
    assert (periods.day_name, periods.month_name) == (f"d{day}", f"m{month}")


ENDS = [
    ("in the middle", "2026-11-26T12:00:00+00:00", "2026-11-27", "2026-12-01"),
    ("in December", "2026-12-31T12:00:00+00:00", "2027-01-01", "2027-01-01"),
    ("in a leap year", "2028-02-28T12:00:00+00:00", "2028-02-29", "2028-03-01"),
    ("in another", "2027-02-28T12:00:00+00:00", "2027-03-01", "2027-03-01"),
]


@pytest.mark.parametrize(
    ("text", "day", "month"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
def test_each_ends_when_the_next_begins(text: str, day: str, month: str) -> None:
    periods = periods_at(_ms(text))
    assert periods.day_ends_s * 1000 == _ms(f"{day}T00:00:00+00:00")
    assert periods.month_ends_s * 1000 == _ms(f"{month}T00:00:00+00:00")


@given(st.integers(0, 60_000))
def test_at_its_end_the_next_is_there_and_a_millisecond_before_it_is_not(day: int) -> None:
    periods = periods_of_day(day)
    assert periods_at(periods.day_ends_s * 1000).day == day + 1
    assert periods_at(periods.day_ends_s * 1000 - 1).day == day
    assert periods_at(periods.month_ends_s * 1000).month == periods.month + 1
    assert periods_at(periods.month_ends_s * 1000 - 1).month == periods.month


def test_a_clock_set_back_over_midnight_counts_on_where_it_was() -> None:
    before, after = (
        periods_at(_ms("2026-11-30T23:30:00+00:00")),
        periods_at(_ms("2026-12-01T00:15:00+00:00")),
    )
    again = periods_at(_ms("2026-12-01T00:15:00+00:00") - 3_600_000)
    assert again == before != after


@pytest.mark.parametrize(("name", "past"), [("d100", False), ("d99", False), ("d98", True)])
def test_two_periods_are_kept(name: str, *, past: bool) -> None:
    assert is_past(name, "d100") is past
