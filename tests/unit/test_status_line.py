"""The line below Claude Code's prompt: from what the gateway's own reports say."""

from typing import Any

import msgspec
import pytest

from proxy.api.usage import usage_of
from proxy.commands.statusline import Session, Usage, line
from proxy.limits.periods import periods_at
from proxy.limits.policy import Counters, Subject
from proxy.limits.verdict import Reading
from proxy.store import sessions

DOLLAR = 1_000_000


def spent(day: int = 0, month: int = 0, **budgets: int) -> Usage:
    """Return what the gateway says of a key that has spent so much."""
    subject = Subject("key a", Counters(), **budgets)  # type: ignore[arg-type]  # the budgets' names
    reading = Reading(subject, 0, 0, 0, 0, 0, 0, day_micros=day, month_micros=month)
    told = usage_of((reading,), periods_at(1_790_000_000_000))
    return msgspec.json.decode(msgspec.json.encode(told), type=Usage)


def session(
    cost: int, agents: int = 0, *, new: int = 0, written: int = 0, read: int = 0
) -> Session:
    return Session(cost, agents, new, written, read)


DAY = spent(day=37 * DOLLAR, day_micros=50 * DOLLAR)
CASES: dict[str, tuple[Any, Any, str]] = {
    "all of it": (
        session(14_820_000, 11_720_000, new=1, written=8, read=91),
        DAY,
        "$14.82 (agents $11.72) \u00b7 today $37 of $50 \u00b7 cache 91.0 %",
    ),
    "no agents, and no prompt yet": (session(1_234), DAY, "$0.0012 \u00b7 today $37 of $50"),
    "no session": (None, DAY, "today $37 of $50"),
    "no usage": (session(2 * DOLLAR, read=1), None, "$2 \u00b7 cache 100 %"),
    "a month that is fuller than the day": (
        None,
        spent(DOLLAR, 9 * DOLLAR, day_micros=5 * DOLLAR, month_micros=10 * DOLLAR),
        "this month $9 of $10",
    ),
    "no budget, for which nothing need be counted": (session(1_234), spent(), "$0.0012"),
    "nothing": (None, None, ""),
}


@pytest.mark.parametrize(("of_session", "usage", "said"), CASES.values(), ids=CASES)
def test_the_line_says_what_is_known(
    of_session: Session | None, usage: Usage | None, said: str
) -> None:
    assert line(of_session, usage) == said


@pytest.mark.parametrize(
    "told",
    [
        {"used_credits": 1e308, "monthly_limit": 1.0},
        {"used_credits": 1.0, "monthly_limit": 1e308},
        {"used_credits": -1.0, "monthly_limit": 1.0},
    ],
    ids=["too much spent", "too much to spend", "less than nothing"],
)
def test_what_is_no_amount_is_not_taken_for_one(told: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"extra_usage": told, "limits": []}, Usage)


def test_nothing_is_shown_that_whoever_answers_has_worded() -> None:
    told = {
        "extra_usage": {"used_credits": 100.0, "monthly_limit": 200.0},
        "limits": [{"group": "\x1b]0;title\x07", "is_active": True}],
    }
    assert line(None, msgspec.convert(told, Usage)) == "this month $1 of $2"


def test_what_is_read_of_a_session_is_what_the_ledger_says_of_one() -> None:
    assert set(Session.__struct_fields__) <= set(sessions.Session.__struct_fields__)
