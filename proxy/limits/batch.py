"""What is asked of `tenancy.lua` in one call, and what its reply means. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.limits.periods import Periods, long_past
from proxy.limits.policy import NO_BUDGET, NO_LIMIT, Policy, Subject
from proxy.limits.rules import is_shadow, longest
from proxy.limits.server_clock import SAME, ServerClock
from proxy.limits.verdict import Ask, Grant, Metric, Reading, Refusal

# A request whose process has died ends with its lease.
LEASE_US = 30_000_000

_READINGS = 2
_KNOWN = 0


class Batch:
    """Operations, gathered for one call of the script.

    Args:
        name: of this gateway's counts: several can share a server.
        clock: what is known of the server's time; None: all times are told by it.
    """

    def __init__(self, name: str, clock: ServerClock | None = None) -> None:
        self._name = name
        self._clock = SAME if clock is None else clock
        self._subjects: dict[str, int] = {}
        self._terms: dict[tuple[Any, ...], int] = {}
        self._numbers: dict[tuple[Subject, ...], list[int]] = {}
        self._operations: list[tuple[Any, ...]] = []

    def admit(self, ask: Ask) -> None:
        """Add a request that wants in."""
        counting, periods = ask.counting, ask.periods
        self._operations.append((
            *("admit", ask.id, self._which(ask.policy.subjects), _asked(ask), int(not counting)),
            *(ask.hold_micros, periods.day_name, periods.month_name),
            *(ask.policy.strict, LEASE_US),
        ))  # fmt: skip

    def settle(
        self, grant: Grant, input_tokens: int, output_tokens: int, micros: int, ended_us: int
    ) -> None:
        """Add what a request really used; the rates of subjects that had not taken any stay as they are.

        `ended_us` is when it ended, by `time.monotonic()` in microseconds.
        """
        ask, ended_us = grant.ask, self._clock.earliest_us(ended_us)
        reserved = (ask.input_tokens, ask.output_tokens)
        taken = ask.policy.subjects
        if grant.untaken:
            taken = tuple([each for each in taken if each not in grant.untaken])
        for subjects, used in ((taken, (input_tokens, output_tokens)), (grant.untaken, reserved)):
            if subjects:
                self._operations.append((
                    *("settle", ask.id, self._which(subjects), reserved, used, ask.hold_micros),
                    *(micros, ask.periods.day_name, ask.periods.month_name, ended_us),
                ))  # fmt: skip

    def follow(self, grant: Grant) -> None:
        """Add a request that its process let in by itself; the server counts it once, should it have let it in, too."""
        ask = grant.ask
        taken = tuple(each for each in ask.policy.subjects if each not in grant.untaken)
        for subjects, asked in ((taken, _asked(ask)), (grant.untaken, (0, 0, 0, 0))):
            if subjects:
                which = self._which(subjects)
                self._operations.append(("follow", ask.id, which, asked, ask.hold_micros, LEASE_US))

    def let_go(self, ask: Ask) -> None:
        """Add a request that may have been let in, and goes nowhere: what its rates took, they keep."""
        self.settle(Grant(ask, untaken=ask.policy.subjects), 0, 0, 0, 0)

    def renew(self, ask: Ask) -> None:
        """Add a request that is still in flight."""
        which = self._which(ask.policy.subjects)
        self._operations.append(("renew", ask.id, which, ask.hold_micros, LEASE_US))

    def raise_spent(self, name: str, period: str, micros: int, known_us: int) -> None:
        """Add what the ledger knew at a moment, by `time.monotonic()` in microseconds, that a subject has spent."""
        bare = (NO_LIMIT,) * 4 + (NO_BUDGET,) * 2 + (0, 0)
        which, known_us = self._row(name, bare), self._clock.latest_us(known_us)
        self._operations.append(("raise", which, period, micros, known_us, long_past(period)))

    def read(self, policy: Policy, periods: Periods) -> None:
        """Add the wish to know what a policy's subjects have used."""
        which = self._which(policy.subjects)
        self._operations.append(("read", which, periods.day_name, periods.month_name))

    def __len__(self) -> int:
        return len(self._operations)

    def render(self, now_us: int | None = None) -> tuple[list[str], bytes]:
        """Return the script's keys and its argument; without a time, the server's holds."""
        keys = [f"{{ar:{self._name}}}:{kind}:{each}" for each in self._subjects for kind in "sl"]
        body = {"n": now_us or False, "s": list(self._terms), "o": self._operations}
        return keys, msgspec.json.encode(body)

    def _which(self, subjects: tuple[Subject, ...]) -> list[int]:
        """Return the numbers of subjects; those of a policy are asked for again and again."""
        found = self._numbers.get(subjects)
        if found is None:
            found = [self._row(each.name, _terms(each)) for each in subjects]
            self._numbers[subjects] = found
        return found

    def _row(self, name: str, terms: tuple[int, ...]) -> int:
        """Return the number of a subject's terms; Lua counts from 1."""
        number = self._subjects.setdefault(name, len(self._subjects) + 1)
        return self._terms.setdefault((number, *terms), len(self._terms) + 1)


def _asked(ask: Ask) -> tuple[int, int, int, int]:
    return int(not ask.counting), int(ask.counting), ask.input_tokens, ask.output_tokens


def _terms(subject: Subject) -> tuple[int, ...]:
    return (
        subject.requests,
        subject.input_tokens,
        subject.output_tokens,
        subject.in_flight,
        subject.day_micros,
        subject.month_micros,
        int(subject.limits_shadow),
        int(subject.budgets_shadow),
    )


def verdict_of(ask: Ask, reply: Sequence[Any]) -> Grant | Refusal:
    """Return what a reply to `admit` means."""
    admitted, found, told = reply
    subjects = ask.policy.subjects
    readings = readings_of(subjects, told)
    refusals = [
        Refusal(subjects[n - 1], Metric(metric), wait_us, bool(spent), readings)
        for metric, n, wait_us, spent in found
    ]
    if not admitted:
        return longest(each for each in refusals if not is_shadow(each))
    over_limits = [each.subject for each in refusals if each.metric < Metric.DAY]
    untaken = tuple(each for each in subjects if each in over_limits)
    would = longest(refusals) if refusals else None
    return Grant(ask, untaken=untaken, would=would, readings=readings)


def readings_of(subjects: Sequence[Subject], told: Sequence[Sequence[int]]) -> tuple[Reading, ...]:
    """Return what a reply says that subjects have used."""
    return tuple(
        [Reading(each, *row[_KNOWN + 1 :]) for each, row in zip(subjects, told, strict=True)]
    )


def unknown_of(subjects: Sequence[Subject], reply: Sequence[Any]) -> list[str]:
    """Return those with a budget of which the server knew nothing before a request: perhaps it was emptied."""
    told = reply[_READINGS]
    return [
        each.name
        for each, row in zip(subjects, told, strict=True)
        if each.has_budget and not row[_KNOWN]
    ]
