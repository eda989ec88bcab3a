"""Figures say what is there: nothing is rounded to nothing, and no place is wider than it must be."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.page import figures


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (None, "-"),
        (0, "$0"),
        (1, "<$0.0001"),
        (49, "<$0.0001"),
        (50, "$0.0001"),
        (93_104, "$0.0931"),
        (999_949, "$0.9999"),
        (999_950, "$1.00"),
        (1_000_000, "$1.00"),
        (1_004_999, "$1.00"),
        (1_005_000, "$1.01"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-3_100_000, "-$3.10"),
        (-1, "-<$0.0001"),
    ],
)
def test_money_has_four_decimals_below_a_dollar_and_two_above(
    micros: int | None, shown: str
) -> None:
    assert figures.money(micros) == shown


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "$0.00"),
        (10, "$0.00001"),
        (58, "$0.000058"),
        (500_000, "$0.50"),
        (1_005_000, "$1.005"),
        (25_000_000, "$25.00"),
    ],
)
def test_an_amount_that_was_set_is_shown_as_it_was_set(micros: int, shown: str) -> None:
    assert figures.bound(micros) == shown


@given(st.integers(1, 10**15))
def test_what_costs_something_never_looks_like_nothing(micros: int) -> None:
    assert figures.money(micros).strip("$0.,") != ""


@given(st.integers(-(10**15), 10**15))
def test_exact_money_is_exact(micros: int) -> None:
    whole, _, rest = figures.exact_money(micros).replace("$", "").replace(",", "").partition(".")
    assert (int(whole + rest), len(rest)) == (micros, 6)


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [
        (None, "-"),
        (0, "$0.00/M"),
        (4_000, "$4.00/M"),
        (200, "$0.20/M"),
        (75, "$0.075/M"),
        (37_500, "$37.50/M"),
    ],
)
def test_a_rate_is_of_a_million_tokens(nanos: int | None, shown: str) -> None:
    assert figures.rate(nanos) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (1_204, "1,204"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (142_880, "142.9 k"),
        (999_949, "999.9 k"),
        (999_950, "1.0 M"),
        (31_200_000, "31.2 M"),
        (5_000_000_000, "5.0 B"),
        (2_345_000_000_000, "2,345.0 B"),
    ],
)
def test_tokens_are_exact_while_they_are_few(number: int | None, shown: str) -> None:
    assert figures.tokens(number) == shown


@pytest.mark.parametrize(
    ("number_bytes", "shown"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (3_000_000, "3.0 MB")],
)
def test_sizes(number_bytes: int | None, shown: str) -> None:
    assert figures.size(number_bytes) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "-"),
        (None, 5, "-"),
        (1, None, "-"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 100_000, "<0.1 %"),
        (99_999, 100_000, ">99.9 %"),
        (941, 1_000, "94.1 %"),
        (118, 100, "118.0 %"),
    ],
)
def test_only_nothing_is_0_percent_and_only_everything_is_100(
    part: float | None, whole: float | None, shown: str
) -> None:
    assert figures.share(part, whole) == shown


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (112, 100, "+12 %"),
        (50, 100, "-50 %"),
        (100, 100, "0 %"),
        (1, 0, "-"),
        (1, None, "-"),
    ],
)
def test_a_change_has_its_sign(now: float, before: float | None, shown: str) -> None:
    assert figures.change(now, before) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "-"),
        (0, "0 ms"),
        (0.8, "0.8 ms"),
        (9.96, "10 ms"),
        (412, "412 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1_930, "1.93 s"),
        (9_996, "10.0 s"),
        (14_200, "14.2 s"),
        (59_970, "1 min"),
        (372_000, "6 min 12 s"),
        (3_599_600, "1 h"),
        (3_900_000, "1 h 5 min"),
        (86_400_000, "1 d"),
        (273_600_000, "3 d 4 h"),
        (-1_930, "-1.93 s"),
    ],
)
def test_a_span_has_two_or_three_digits(ms: float | None, shown: str) -> None:
    assert figures.duration(ms) == shown


def test_times_are_utc() -> None:
    at_ms = 1_764_124_267_114
    assert figures.day(at_ms) == "2025-11-26"
    assert figures.clock(at_ms) == "02:31:07"
    assert figures.exact_clock(at_ms) == "02:31:07.114"
    assert figures.moment(at_ms) == "2025-11-26 02:31:07"


@pytest.mark.parametrize(
    ("took_ms", "shown"),
    [(0, "02:31:07"), (77_332_000, "23:59:59"), (77_333_000, "2025-11-27 00:00:00")],
)
def test_an_end_has_its_day_where_it_is_another_one(took_ms: int, shown: str) -> None:
    began_ms = 1_764_124_267_114
    assert figures.ended(began_ms + took_ms, began_ms) == shown


@pytest.mark.parametrize("show", [figures.day, figures.clock, figures.exact_clock, figures.moment])
def test_a_time_that_is_not_known_is_a_dash(show: Callable[[None], str]) -> None:
    assert show(None) == figures.NONE


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 requests"), (1, "1 request"), (2_000, "2,000 requests")]
)
def test_one_is_no_plural(number: int, shown: str) -> None:
    assert figures.counted(number, "request") == shown


def test_a_plural_may_be_another_word() -> None:
    assert (figures.counted(1, "reply", "replies"), figures.counted(3, "reply", "replies")) == (
        "1 reply",
        "3 replies",
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.000000"),
        (4_816_000, "$0.004816"),
        (1_234_567, "$0.001234567"),
        (3 * 10**9, "$3.000000"),
    ],
)
def test_nano_dollars_keep_every_digit(amount: int, shown: str) -> None:
    assert figures.nanos(amount) == shown


@pytest.mark.parametrize(("num", "den", "shown"), [(2, 1, "2"), (11, 10, "1.1"), (1, 3, "1/3")])
def test_a_factor_is_exact(num: int, den: int, shown: str) -> None:
    assert figures.factor(num, den) == shown
