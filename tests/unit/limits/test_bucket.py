"""A bucket holds one minute's worth, fills evenly, and is kept as one integer."""

import fractions

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.bucket import MINUTE_US, cost_us, missing_us, remaining, take, wait_us

LIMITS = st.integers(1, 10_000_000)
NOW = 1_000_000_000

COSTS = [
    ("one of sixty", 1, 60, 1_000_000),
    ("all of them", 60, 60, MINUTE_US),
    ("rounded up", 1, 7, 8_571_429),
    ("none", 0, 60, 0),
    ("more than there are in a minute", 120, 60, 2 * MINUTE_US),
    ("many tokens", 4_096, 80_000, 3_072_000),
]


@pytest.mark.parametrize(
    ("units", "per_minute", "cost"), [row[1:] for row in COSTS], ids=[row[0] for row in COSTS]
)
def test_a_cost_is_the_time_to_win_it_back(units: int, per_minute: int, cost: int) -> None:
    assert cost_us(units, per_minute) == cost


@given(units=st.integers(0, 10**7), per_minute=LIMITS)
def test_a_cost_is_never_below_the_exact_one_and_less_than_a_microsecond_above(
    units: int, per_minute: int
) -> None:
    exact = fractions.Fraction(units * MINUTE_US, per_minute)
    assert exact <= cost_us(units, per_minute) < exact + 1


STATES = [
    ("full for long", NOW - 5 * MINUTE_US, 0, 60),
    ("full just now", NOW, 0, 60),
    ("one was taken", NOW + 1_000_000, 1_000_000, 59),
    ("a part of one was taken", NOW + 1, 1, 59),
    ("empty", NOW + MINUTE_US, MINUTE_US, 0),
    ("in debt", NOW + 3 * MINUTE_US, 3 * MINUTE_US, 0),
]


@pytest.mark.parametrize(
    ("full_at", "missing", "left"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
)
def test_what_is_left_is_read_off_the_time(full_at: int, missing: int, left: int) -> None:
    assert missing_us(full_at, NOW) == missing
    assert remaining(missing, 60) == left


@given(full_at=st.integers(0, 2 * NOW), cost=st.integers(0, MINUTE_US))
def test_after_the_wait_there_is_room_and_a_microsecond_before_there_is_none(
    full_at: int, cost: int
) -> None:
    wait = wait_us(full_at, cost, NOW)
    assert wait_us(full_at, cost, NOW + wait) == 0
    if wait:
        assert wait_us(full_at, cost, NOW + wait - 1) == 1


@given(
    per_minute=LIMITS,
    asked=st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 500_000)), max_size=60),
)
def test_no_window_of_time_holds_more_than_a_full_bucket_and_what_has_come_in_since(
    per_minute: int, asked: list[tuple[int, int]]
) -> None:
    now, full_at, taken = NOW, 0, list[tuple[int, int]]()
    for pause, units in asked:
        now += pause
        cost = cost_us(units, per_minute)
        if not wait_us(full_at, cost, now):
            full_at = take(full_at, cost, now)
            taken.append((now, units))
    for index, (begin, _) in enumerate(taken):
        for end in range(index, len(taken)):
            window_us = taken[end][0] - begin
            units = sum(each for _, each in taken[index : end + 1])
            assert units * MINUTE_US <= per_minute * (MINUTE_US + window_us)


@given(full_at=st.integers(0, 2 * NOW), cost=st.integers(0, 2 * MINUTE_US))
def test_what_is_given_back_leaves_the_bucket_as_it_was(full_at: int, cost: int) -> None:
    after = take(full_at, cost, NOW) - cost
    assert missing_us(after, NOW) == missing_us(full_at, NOW)
