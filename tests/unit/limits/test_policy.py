"""A policy names those who have a limit or a budget, and says what has to be estimated for them."""

from typing import Any

import pytest

from proxy.limits.local import Local
from proxy.limits.policy import policy, subject
from tests.unit.limits.making import policy_of


def test_who_has_neither_limit_nor_budget_is_left_out() -> None:
    found = policy_of(Local(), key={}, owner={"max_in_flight": 3}, all={"day_micros": 0})
    assert [each.name for each in found.subjects] == ["owner team-a", "global"]


def test_a_key_without_owner_has_fewer_subjects() -> None:
    assert policy("laptop", None, None).subjects == ()


NEEDS = [
    ("nothing", {}, (False, False, False)),
    ("requests", {"requests_per_minute": 1}, (False, False, False)),
    ("input", {"input_tokens_per_minute": 1}, (True, False, False)),
    ("output", {"output_tokens_per_minute": 1}, (True, False, False)),
    ("slots", {"max_in_flight": 1}, (False, True, False)),
    ("a day's budget", {"day_micros": 0}, (False, False, True)),
    ("a month's budget", {"month_micros": 0}, (False, False, True)),
]


@pytest.mark.parametrize(
    ("terms", "needs"), [row[1:] for row in NEEDS], ids=[row[0] for row in NEEDS]
)
def test_what_has_to_be_estimated_follows_from_the_limits(
    terms: dict[str, Any], needs: tuple[bool, bool, bool]
) -> None:
    found = policy_of(Local(), all=terms)
    assert (found.has_tokens, found.has_slots, found.has_budget) == needs


CLOSED: list[tuple[str, dict[str, Any], tuple[bool, bool]]] = [
    ("open unless said", {"max_in_flight": 1, "day_micros": 1}, (False, False)),
    ("a limit", {"max_in_flight": 1, "limits_fail": "closed", "day_micros": 1}, (True, False)),
    ("a budget", {"max_in_flight": 1, "budgets_fail": "closed", "day_micros": 1}, (False, True)),
    ("what is not there", {"max_in_flight": 1, "budgets_fail": "closed"}, (False, False)),
]


@pytest.mark.parametrize(
    ("terms", "closed"), [row[1:] for row in CLOSED], ids=[row[0] for row in CLOSED]
)
def test_one_subject_that_fails_closed_is_enough(
    terms: dict[str, Any], closed: tuple[bool, bool]
) -> None:
    found = policy_of(Local(), key={"day_micros": 1}, owner=terms)
    assert (found.limits_closed, found.budgets_closed) == closed


@pytest.mark.parametrize(
    "terms",
    [
        {"requests_per_minute": 0},
        {"input_tokens_per_minute": 0},
        {"output_tokens_per_minute": -1},
        {"max_in_flight": 0},
        {"day_micros": -1},
        {"month_micros": -1},
    ],
    ids=str,
)
def test_a_limit_of_nothing_is_refused_where_it_is_made(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="of key laptop is below"):
        subject("key laptop", Local().counters("key laptop"), **terms)


def test_an_edit_makes_another_policy_around_the_same_counters() -> None:
    local = Local()
    before = policy_of(local, key={"max_in_flight": 1})
    after = policy_of(local, key={"max_in_flight": 2})
    assert before.subjects[0].counters is after.subjects[0].counters


@pytest.mark.parametrize(("name", "pool"), [("key a", False), ("owner a", True), ("global", True)])
def test_what_keys_share_is_a_pool(name: str, *, pool: bool) -> None:
    assert subject(name, Local().counters(name)).is_pool is pool
