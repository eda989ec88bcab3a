"""One process's counts: all or nothing, settled once, watched in shadow mode, kept over an edit."""

import dataclasses
from typing import Any

import pytest

from proxy.limits.local import Local, Spent
from proxy.limits.periods import periods_of_day
from proxy.limits.policy import Policy
from proxy.limits.verdict import Ask, Grant, Reading, Refusal, Rule
from tests.unit.limits.making import NOW_US, PERIODS, count, message, policy_of, reading_of

SECOND_US = 1_000_000
NEXT_DAY = periods_of_day(PERIODS.day + 1)


def _admit(local: Local, ask: Ask, now_us: int = NOW_US) -> Grant:
    verdict = local.admit(ask, now_us)
    assert isinstance(verdict, Grant), verdict
    return verdict


def _refuse(local: Local, ask: Ask, now_us: int = NOW_US) -> Refusal:
    verdict = local.admit(ask, now_us)
    assert isinstance(verdict, Refusal)
    return verdict


def _reading(local: Local, policy: Policy, now_us: int = NOW_US) -> Reading:
    return local.read(policy, PERIODS, now_us)[0]


@pytest.mark.parametrize("limit", [1, 6, 60, 600])
def test_a_minutes_worth_passes_at_once_and_the_next_one_when_its_part_of_the_minute_is_over(
    limit: int,
) -> None:
    local = Local()
    policy = policy_of(local, key={"requests_per_minute": limit})
    for _ in range(limit):
        _admit(local, message(policy))
    refusal = _refuse(local, message(policy))
    assert (refusal.rule, refusal.wait_us) == (Rule.REQUESTS, 60 * SECOND_US // limit)
    _refuse(local, message(policy), NOW_US + refusal.wait_us - 1)
    _admit(local, message(policy), NOW_US + refusal.wait_us)


def test_counting_tokens_has_as_many_requests_of_its_own() -> None:
    local = Local()
    policy = policy_of(local, key={"requests_per_minute": 2, "max_in_flight": 1, "day_micros": 0})
    for ask in (count(policy), count(policy), message(policy)):
        _admit(local, ask)
    assert _refuse(local, count(policy)).rule is Rule.REQUESTS


@pytest.mark.parametrize(
    "last",
    [
        "requests_per_minute",
        "input_tokens_per_minute",
        "output_tokens_per_minute",
        "max_in_flight",
        "day_micros",
        "month_micros",
    ],
)
@pytest.mark.parametrize("ask", [message, count])
def test_who_is_refused_by_the_last_subject_leaves_no_trace_at_the_others(
    last: str, ask: Any
) -> None:
    local = Local()
    generous = dict.fromkeys(
        (
            "requests_per_minute",
            "input_tokens_per_minute",
            "output_tokens_per_minute",
            "max_in_flight",
            "day_micros",
        ),
        1000,
    )
    policy = policy_of(local, key=generous, owner=generous, all={last: 1})
    asked = message(policy, 1, 1, 1) if ask is message else count(policy)
    if not isinstance(local.admit(asked, NOW_US), Grant):
        pytest.fail("the first one has room")
    before = local.read(policy, PERIODS, NOW_US)
    if ask is message or last == "requests_per_minute":
        _refuse(local, asked)
        assert local.read(policy, PERIODS, NOW_US) == before


@pytest.mark.parametrize("ask", [message, count])
def test_buckets_that_were_full_for_long_are_so_after_a_refusal_by_another(ask: Any) -> None:
    local = Local()
    rates = dict.fromkeys(
        ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute"), 60
    )
    policy = policy_of(local, key=rates, all={"requests_per_minute": 1})
    _admit(local, ask(policy))
    before = dataclasses.astuple(local.counters("key laptop"))
    _refuse(local, ask(policy), NOW_US + 30 * SECOND_US)
    assert dataclasses.astuple(local.counters("key laptop")) == before


def test_input_and_output_are_settled_to_what_was_used() -> None:
    local = Local()
    terms = {"input_tokens_per_minute": 1000, "output_tokens_per_minute": 1000}
    policy = policy_of(local, key=terms)
    grant = _admit(local, message(policy, 800, 200))
    local.settle(grant, 300, 900, 0)
    reading = _reading(local, policy)
    assert (reading.input_us, reading.output_us) == (18 * SECOND_US, 54 * SECOND_US)


def test_a_debt_is_paid_before_the_next_is_let_in() -> None:
    local = Local()
    policy = policy_of(local, key={"output_tokens_per_minute": 60})
    local.settle(_admit(local, message(policy, output_tokens=1)), 0, 180, 0)
    refusal = _refuse(local, message(policy, output_tokens=1))
    assert (refusal.rule, refusal.wait_us) == (Rule.OUTPUT_TOKENS, 121 * SECOND_US)
    _admit(local, message(policy, output_tokens=1), NOW_US + 121 * SECOND_US)


def test_a_second_settlement_is_nothing() -> None:
    local = Local()
    policy = policy_of(
        local, key={"max_in_flight": 3, "input_tokens_per_minute": 60, "day_micros": 99}
    )
    other = _admit(local, message(policy, 5, 5, 5))
    grant = _admit(local, message(policy, 10, 10, 10))
    local.settle(grant, 20, 20, 20)
    once = _reading(local, policy)
    local.settle(grant, 20, 20, 20)
    local.cancel(grant)
    assert _reading(local, policy) == once
    assert (once.in_flight, once.held_micros, once.day_micros) == (1, 5, 20)
    local.cancel(other)
    assert (_reading(local, policy).in_flight, _reading(local, policy).held_micros) == (0, 0)


def test_what_is_cancelled_has_cost_a_request_and_nothing_else() -> None:
    local = Local()
    everything = {
        "requests_per_minute": 60,
        "input_tokens_per_minute": 60,
        "output_tokens_per_minute": 60,
        "max_in_flight": 1,
        "month_micros": 10,
    }
    policy = policy_of(local, key=everything)
    local.cancel(_admit(local, message(policy, 30, 30, 10)))
    assert _reading(local, policy) == Reading(policy.subjects[0], SECOND_US, 0, 0, 0, 0, 0, 0, 0)


def test_a_request_belongs_to_the_period_it_came_in() -> None:
    local = Local()
    policy = policy_of(local, key={"day_micros": 10})
    grant = _admit(local, message(policy, hold_micros=10))
    assert _refuse(local, message(policy, hold_micros=1, periods=NEXT_DAY)).rule is Rule.BUDGET_HELD
    local.settle(grant, 1, 1, 10)
    _admit(local, message(policy, hold_micros=10, periods=NEXT_DAY))
    assert _refuse(local, message(policy, hold_micros=1)).rule is Rule.BUDGET_SPENT


def test_periods_long_past_are_forgotten() -> None:
    local = Local()
    policy = policy_of(local, key={"day_micros": 10_000, "month_micros": 10_000})
    for day in range(20_000, 20_100):
        grant = _admit(local, message(policy, hold_micros=1, periods=periods_of_day(day)))
        local.settle(grant, 1, 1, 7)
    spent = local.counters("key laptop").spent_micros
    assert {name for name in spent if name[0] == "d"} == {"d20098", "d20099"}
    assert len(spent) == 4


def test_a_budget_smaller_than_one_expectation_can_be_used_by_one_after_the_other() -> None:
    local = Local()
    policy = policy_of(local, key={"day_micros": 50})
    for cost in (20, 20, 20):
        grant = _admit(local, message(policy, hold_micros=230))
        assert _refuse(local, message(policy, hold_micros=1)).rule is Rule.BUDGET_HELD
        local.settle(grant, 1, 1, cost)
    assert _refuse(local, message(policy, hold_micros=1)).rule is Rule.BUDGET_SPENT


SHADOWS = [
    ("requests", {"requests_per_minute": 1}, Rule.REQUESTS),
    ("input", {"input_tokens_per_minute": 1}, Rule.INPUT_TOKENS),
    ("output", {"output_tokens_per_minute": 1}, Rule.OUTPUT_TOKENS),
    ("in flight", {"max_in_flight": 1}, Rule.IN_FLIGHT),
    ("a budget", {"day_micros": 1}, Rule.BUDGET_HELD),
]


@pytest.mark.parametrize(
    ("terms", "rule"), [row[1:] for row in SHADOWS], ids=[row[0] for row in SHADOWS]
)
def test_in_shadow_mode_nothing_is_refused_and_the_rule_is_noted(
    terms: dict[str, int], rule: Rule
) -> None:
    local = Local()
    policy = policy_of(local, key={**terms, "limits_shadow": True, "budgets_shadow": True})
    assert _admit(local, message(policy, hold_micros=1)).would is None
    second = _admit(local, message(policy, hold_micros=1))
    assert second.would is not None
    assert second.would.rule is rule


def test_a_rate_in_shadow_mode_runs_up_no_debt_by_what_it_would_have_refused() -> None:
    """Or whoever ends the shadow mode locks the key out for days."""
    local = Local()
    rates = {
        "requests_per_minute": 60,
        "input_tokens_per_minute": 60,
        "output_tokens_per_minute": 60,
    }
    policy = policy_of(
        local, key={**rates, "limits_shadow": True, "max_in_flight": 2000, "day_micros": 10**6}
    )
    grants = [_admit(local, message(policy, 1, 1, 1)) for _ in range(1000)]
    assert _reading(local, policy).in_flight == 1000
    for grant in grants:
        local.settle(grant, 1, 1, 1)
    reading = _reading(local, policy)
    assert (reading.requests_us, reading.input_us, reading.output_us) == (60 * SECOND_US,) * 3
    assert (reading.in_flight, reading.held_micros, reading.day_micros) == (0, 0, 1000)


@pytest.mark.parametrize("input_tokens", [1, 2], ids=["within", "beyond a shadow"])
def test_a_bucket_of_which_nothing_is_taken_keeps_its_state(input_tokens: int) -> None:
    """It is full since long: what is settled is taken of a time gone by."""
    local = Local()
    shadow = {"input_tokens_per_minute": 1, "limits_shadow": True}
    policy = policy_of(local, key=shadow, owner={"output_tokens_per_minute": 1})
    grant = local.admit(message(policy, input_tokens, 0), NOW_US)
    assert isinstance(grant, Grant)
    local.settle(grant, input_tokens, 1, 0)
    _, owner = local.read(policy, PERIODS, NOW_US)
    assert owner == reading_of(policy.subjects[1], {})


def test_a_shadow_beside_an_enforced_limit_refuses_nothing_and_hides_nothing() -> None:
    local = Local()
    policy = policy_of(
        local, key={"requests_per_minute": 1, "limits_shadow": True}, owner={"max_in_flight": 2}
    )
    _admit(local, message(policy))
    assert _admit(local, message(policy)).would is not None
    assert _refuse(local, message(policy)).rule is Rule.IN_FLIGHT


def test_what_was_spent_before_is_added_once_to_what_was_spent_meanwhile() -> None:
    local = Local()
    policy = policy_of(local, key={"day_micros": 100, "month_micros": 100})
    local.settle(_admit(local, message(policy, hold_micros=1)), 0, 0, 5)
    local.seed({"key laptop": Spent(10, 20), "key other": Spent(1, 1)}, PERIODS)
    assert local.seeded
    reading = _reading(local, policy)
    assert (reading.day_micros, reading.month_micros) == (15, 25)
    with pytest.raises(RuntimeError):
        local.seed({}, PERIODS)


def test_the_ledger_can_raise_what_was_spent_and_never_lowers_it() -> None:
    local = Local()
    policy = policy_of(local, key={"day_micros": 100, "month_micros": 100})
    for _ in range(2):
        local.raise_spent({"key laptop": Spent(30, 40)}, PERIODS)
    local.raise_spent({"key laptop": Spent(20, 50)}, PERIODS)
    reading = _reading(local, policy)
    assert (reading.day_micros, reading.month_micros) == (30, 50)


def test_an_edit_forgets_nothing_and_holds_from_the_next_request_on() -> None:
    local = Local()
    before = policy_of(
        local, key={"requests_per_minute": 60, "max_in_flight": 2, "day_micros": 100}
    )
    running = _admit(local, message(before, hold_micros=60))
    after = policy_of(local, key={"requests_per_minute": 600, "max_in_flight": 1, "day_micros": 50})
    assert _refuse(local, message(after, hold_micros=1)).rule is Rule.BUDGET_HELD
    local.settle(running, 0, 0, 49)
    reading = _reading(local, after)
    assert (reading.requests_us, reading.in_flight, reading.day_micros) == (SECOND_US, 0, 49)
    _admit(local, message(after, hold_micros=1))


def test_a_key_without_limits_leaves_no_trace() -> None:
    local = Local()
    policy = policy_of(local)
    local.settle(_admit(local, message(policy)), 1, 1, 1)
    assert local.read(policy, PERIODS, NOW_US) == ()
