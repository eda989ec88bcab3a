"""What a request is over, and which of it is told."""

from typing import Any

import pytest

from proxy.limits.local import Local
from proxy.limits.rules import is_shadow, longest, over
from proxy.limits.verdict import Ask, Metric, Rule
from tests.unit.limits.making import PERIODS, message, policy_of, reading_of

MINUTE_US = 60_000_000


def _refusals(
    terms: dict[str, Any], ask: dict[str, Any], used: dict[str, int], *, strict: bool = False
) -> list[tuple[Any, ...]]:
    subject = policy_of(Local(), key=terms).subjects[0]
    reading = reading_of(subject, used)
    asked = Ask("req_1", policy_of(Local(), strict=strict), PERIODS, **ask)
    return [(each.metric, each.rule, each.wait_us) for each in over(reading, asked)]


ROWS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, int], list[tuple[Any, ...]]]] = [
    ("room for the last", {"requests_per_minute": 60}, {}, {"requests_us": 59_000_000}, []),
    (
        "a microsecond too little",
        {"requests_per_minute": 60},
        {},
        {"requests_us": 59_000_001},
        [(Metric.REQUESTS, Rule.REQUESTS, 1)],
    ),
    ("counts are no requests", {"requests_per_minute": 60}, {}, {"counts_us": MINUTE_US}, []),
    (
        "counts have a bucket of their own",
        {"requests_per_minute": 60},
        {"counting": True},
        {"counts_us": MINUTE_US},
        [(Metric.COUNTS, Rule.REQUESTS, 1_000_000)],
    ),
    (
        "input",
        {"input_tokens_per_minute": 60},
        {"input_tokens": 3},
        {"input_us": 58_000_000},
        [(Metric.INPUT_TOKENS, Rule.INPUT_TOKENS, 1_000_000)],
    ),
    (
        "output, in debt",
        {"output_tokens_per_minute": 60},
        {"output_tokens": 1},
        {"output_us": 2 * MINUTE_US},
        [(Metric.OUTPUT_TOKENS, Rule.OUTPUT_TOKENS, MINUTE_US + 1_000_000)],
    ),
    (
        "nothing asked, debt or not",
        {"output_tokens_per_minute": 60},
        {},
        {"output_us": 2 * MINUTE_US},
        [],
    ),
    ("the last slot", {"max_in_flight": 2}, {}, {"in_flight": 1}, []),
    (
        "no slot",
        {"max_in_flight": 2},
        {},
        {"in_flight": 2},
        [(Metric.IN_FLIGHT, Rule.IN_FLIGHT, 0)],
    ),
    ("counting needs none", {"max_in_flight": 2}, {"counting": True}, {"in_flight": 2}, []),
    (
        "the last of a budget",
        {"day_micros": 10},
        {"hold_micros": 4},
        {"day_micros": 4, "held_micros": 2},
        [],
    ),
    (
        "held by others",
        {"day_micros": 10},
        {"hold_micros": 4},
        {"day_micros": 4, "held_micros": 3},
        [(Metric.DAY, Rule.BUDGET_HELD, 0)],
    ),
    (
        "spent",
        {"month_micros": 10},
        {"hold_micros": 4},
        {"month_micros": 10},
        [(Metric.MONTH, Rule.BUDGET_SPENT, 0)],
    ),
    (
        "more than is left, alone",
        {"day_micros": 10, "month_micros": 20},
        {"hold_micros": 40},
        {"day_micros": 9, "month_micros": 19},
        [],
    ),
    (
        "more than is left of one budget, another is spent",
        {"day_micros": 10, "month_micros": 20},
        {"hold_micros": 40},
        {"day_micros": 9, "month_micros": 20},
        [(Metric.MONTH, Rule.BUDGET_SPENT, 0)],
    ),
    (
        "more than is left, and others run",
        {"day_micros": 10},
        {"hold_micros": 4},
        {"day_micros": 9, "held_micros": 1},
        [(Metric.DAY, Rule.BUDGET_HELD, 0)],
    ),
    (
        "what costs nothing passes",
        {"month_micros": 10},
        {},
        {"month_micros": 11, "held_micros": 9},
        [],
    ),
    (
        "a budget of nothing",
        {"day_micros": 0},
        {"hold_micros": 1},
        {},
        [(Metric.DAY, Rule.BUDGET_SPENT, 0)],
    ),
]


@pytest.mark.parametrize(
    ("terms", "ask", "used", "found"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_request_is_over_what_it_has_no_room_in(
    terms: dict[str, Any], ask: dict[str, Any], used: dict[str, int], found: list[tuple[Any, ...]]
) -> None:
    assert _refusals(terms, ask, used) == found


STRICT: list[tuple[str, dict[str, int], list[tuple[Any, ...]]]] = [
    ("the last of it", {"day_micros": 6}, []),
    ("more than is left, alone", {"day_micros": 7}, [(Metric.DAY, Rule.BUDGET_SPENT, 0)]),
    (
        "held by others",
        {"day_micros": 6, "held_micros": 1},
        [(Metric.DAY, Rule.BUDGET_HELD, 0)],
    ),
]


@pytest.mark.parametrize(
    ("used", "found"), [row[1:] for row in STRICT], ids=[row[0] for row in STRICT]
)
def test_a_strict_budget_lets_nothing_in_that_may_be_too_much(
    used: dict[str, int], found: list[tuple[Any, ...]]
) -> None:
    assert _refusals({"day_micros": 10}, {"hold_micros": 4}, used, strict=True) == found


EVERYTHING = {
    "requests_per_minute": 60,
    "output_tokens_per_minute": 60,
    "max_in_flight": 1,
    "day_micros": 10,
    "month_micros": 10,
}
FULL = {"requests_us": MINUTE_US, "output_us": 2 * MINUTE_US, "in_flight": 1}
ORDER = [
    (
        "of two spent budgets the month's",
        {**FULL, "day_micros": 10, "month_micros": 10},
        Metric.MONTH,
    ),
    ("a spent budget before rates", {**FULL, "day_micros": 10}, Metric.DAY),
    ("of two rates the one that lasts longer", {**FULL, "held_micros": 10}, Metric.OUTPUT_TOKENS),
    ("a held budget before a slot", {"in_flight": 1, "held_micros": 10}, Metric.MONTH),
    ("a slot, when nothing else is missing", {"in_flight": 1}, Metric.IN_FLIGHT),
]


@pytest.mark.parametrize(
    ("used", "told"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER]
)
def test_what_lasts_longest_is_told(used: dict[str, int], told: Metric) -> None:
    subject = policy_of(Local(), key=EVERYTHING).subjects[0]
    reading = reading_of(subject, used)
    ask = message(policy_of(Local()), hold_micros=5)
    assert longest(over(reading, ask)).metric == told


@pytest.mark.parametrize(
    ("shadow", "only_noted"),
    [
        ("limits_shadow", {Metric.REQUESTS, Metric.OUTPUT_TOKENS, Metric.IN_FLIGHT}),
        ("budgets_shadow", {Metric.DAY, Metric.MONTH}),
    ],
)
def test_limits_and_budgets_are_in_shadow_mode_each_by_itself(
    shadow: str, only_noted: set[Metric]
) -> None:
    subject = policy_of(Local(), key={**EVERYTHING, shadow: True}).subjects[0]
    reading = reading_of(subject, {**FULL, "held_micros": 10})
    refusals = list(over(reading, message(policy_of(Local()), hold_micros=5)))
    assert {each.metric for each in refusals if is_shadow(each)} == only_noted
    assert len(refusals) == 5
