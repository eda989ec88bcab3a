"""Subjects, policies and asks for tests."""

import time
from typing import Any

from proxy.limits.local import Local
from proxy.limits.periods import Periods, periods_of_day
from proxy.limits.policy import Policy, Subject, policy, subject
from proxy.limits.verdict import Ask, Reading

PERIODS = periods_of_day(20_783)
NOW_US = 1_000_000_000


def policy_of(
    local: Local, named: str = "laptop", *, strict: bool = False, **terms: dict[str, Any]
) -> Policy:
    """Make the policy of a key; terms by subject: `key`, `owner`, `all`."""
    names = {"key": f"key {named}", "owner": "owner team-a", "all": "global"}
    subjects = [
        subject(names[which], local.counters(names[which]), **terms[which])
        for which in names
        if which in terms
    ]
    return policy(named, *subjects, strict=strict)


def message(
    held: Policy,
    input_tokens: int = 1,
    output_tokens: int = 1,
    hold_micros: int = 0,
    periods: Periods = PERIODS,
) -> Ask:
    """Ask for a message."""
    return Ask("req_1", held, periods, input_tokens, output_tokens, hold_micros)


def count(held: Policy) -> Ask:
    """Ask for counting tokens."""
    return Ask("req_1", held, PERIODS, counting=True)


def reading_of(found: Subject, used: dict[str, int]) -> Reading:
    """Read off that a subject has used something, and nothing else."""
    names = Reading.__struct_fields__[1:]
    assert set(used) <= set(names)
    return Reading(found, *(used.get(name, 0) for name in names))


def now_us() -> int:
    """Return the time of this process, as gateways tell it."""
    return time.monotonic_ns() // 1000
