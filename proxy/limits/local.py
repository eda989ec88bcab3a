"""Limits and budgets as one process counts them: check all, then write all. Pure.

Nothing here waits, so that requests meet each other whole. One that is refused leaves no trace. A policy holds its
subjects' counters themselves: a request looks nothing up.
"""

from collections.abc import Iterable, Mapping

import msgspec

from proxy.limits.bucket import MINUTE_US
from proxy.limits.periods import Periods
from proxy.limits.policy import Counters, Policy, Subject
from proxy.limits.rules import is_shadow, longest, over
from proxy.limits.taking import State, counted, entered, spend, take
from proxy.limits.verdict import Ask, Grant, Metric, Reading, Refusal


class Spent(msgspec.Struct, frozen=True):
    """What the ledger knows that a subject has spent, in micro-dollars, in the periods it was asked for."""

    day_micros: int
    month_micros: int


class Local:
    """The counters of all subjects.

    Attributes:
        seeded: whether what the ledger knows was added.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Counters] = {}
        self.seeded = False

    def counters(self, name: str) -> Counters:
        """Return the counters of a subject: the same ones as long as the process lives."""
        return self._counters.setdefault(name, Counters())

    def seed(self, spent: Mapping[str, Spent], periods: Periods) -> None:
        """Add what was spent before this process began, by subject. To be called once, with nothing of this process.

        Raises:
            RuntimeError: it was added already, and would count twice.
        """
        if self.seeded:
            raise RuntimeError("what was spent before is counted already")
        self.seeded = True
        for name, each in spent.items():
            known = self.counters(name).spent_micros
            spend(known, periods.day_name, each.day_micros)
            spend(known, periods.month_name, each.month_micros)

    def raise_spent(self, spent: Mapping[str, Spent], periods: Periods) -> None:
        """Raise what was spent to what the ledger knows, where that is more: of a subject whose budget is new."""
        for name, each in spent.items():
            _raise(self.counters(name), periods.day_name, each.day_micros)
            _raise(self.counters(name), periods.month_name, each.month_micros)

    def admit(self, ask: Ask, now_us: int) -> Grant | Refusal:
        """Let a request in, or say why not.

        Args:
            ask: what it would take.
            now_us: `time.monotonic()` in microseconds.
        """
        states: list[State] = []
        for subject in ask.policy.subjects:
            state = counted(subject, now_us) if ask.counting else entered(subject, ask, now_us)
            if state is None:
                return self._judge(ask, now_us)
            states.append(state)
        for subject, state in zip(ask.policy.subjects, states, strict=True):
            counters = subject.counters
            (
                counters.requests_us,
                counters.counts_us,
                counters.input_us,
                counters.output_us,
            ) = state
            if not ask.counting:
                counters.in_flight += 1
                counters.held_micros += ask.hold_micros
        return Grant(ask)

    def _judge(self, ask: Ask, now_us: int) -> Grant | Refusal:
        """Decide about a request that is over something: only what is enforced refuses."""
        readings = self.read(ask.policy, ask.periods, now_us)
        refusals = [each for reading in readings for each in over(reading, ask)]
        if enforced := [each for each in refusals if not is_shadow(each)]:
            return longest(enforced)
        # As if it had been refused, it takes nothing of a rate; a slot and money it does take.
        over_limits = {each.subject.name for each in refusals if each.metric < Metric.DAY}
        untaken = tuple(each for each in ask.policy.subjects if each.name in over_limits)
        for subject in ask.policy.subjects:
            take(subject, ask, now_us, rates=subject not in untaken)
        return Grant(ask, untaken=untaken, would=longest(refusals))

    @staticmethod
    def learn(readings: Iterable[Reading], periods: Periods) -> None:
        """Raise what was spent to what others have read off, where that is more."""
        day, month = periods.day_name, periods.month_name
        for each in readings:
            if each.subject.has_budget:
                spent = each.subject.counters.spent_micros
                if each.day_micros > spent.get(day, 0):
                    _raise(each.subject.counters, day, each.day_micros)
                if each.month_micros > spent.get(month, 0):
                    _raise(each.subject.counters, month, each.month_micros)

    @staticmethod
    def follow(grant: Grant, now_us: int) -> None:
        """Count a request that somebody else let in, room or not."""
        ask, untaken = grant.ask, grant.untaken
        for subject in ask.policy.subjects:
            take(subject, ask, now_us, rates=not untaken or subject not in untaken)

    def settle(self, grant: Grant, input_tokens: int, output_tokens: int, micros: int) -> None:
        """Count what a request really used instead of what it had reserved; a second time is nothing.

        Args:
            grant: given by `admit`.
            input_tokens: those that count: without cache reads.
            output_tokens: as they came.
            micros: what it cost.
        """
        if grant.settled:
            return
        grant.settled = True
        ask = grant.ask
        if ask.counting:
            return
        day, month = ask.periods.day_name, ask.periods.month_name
        for subject in ask.policy.subjects:
            counters = subject.counters
            counters.in_flight -= 1
            if not grant.untaken or subject not in grant.untaken:
                if limit := subject.input_tokens:
                    taken = -(-ask.input_tokens * MINUTE_US // limit)
                    counters.input_us += -(-input_tokens * MINUTE_US // limit) - taken
                if limit := subject.output_tokens:
                    taken = -(-ask.output_tokens * MINUTE_US // limit)
                    counters.output_us += -(-output_tokens * MINUTE_US // limit) - taken
            counters.held_micros -= ask.hold_micros
            if subject.has_budget:
                spent = counters.spent_micros
                if day in spent and month in spent:
                    spent[day] += micros
                    spent[month] += micros
                else:
                    spend(spent, day, micros)
                    spend(spent, month, micros)

    def cancel(self, grant: Grant) -> None:
        """Give back all but the request itself: nothing was sent."""
        self.settle(grant, 0, 0, 0)

    @staticmethod
    def read(policy: Policy, periods: Periods, now_us: int) -> tuple[Reading, ...]:
        """Return what each of a policy's subjects has used."""
        return tuple([_read(subject, periods, now_us) for subject in policy.subjects])


def _raise(counters: Counters, period: str, micros: int) -> None:
    spend(counters.spent_micros, period, max(0, micros - counters.spent_micros.get(period, 0)))


def _read(subject: Subject, periods: Periods, now_us: int) -> Reading:
    counters = subject.counters
    spent = counters.spent_micros
    # As `bucket.missing_us` says, without a call for each.
    requests_us, counts_us, input_us, output_us = (
        counters.requests_us - now_us,
        counters.counts_us - now_us,
        counters.input_us - now_us,
        counters.output_us - now_us,
    )
    return Reading(
        subject,
        requests_us if requests_us > 0 else 0,  # noqa: FURB136 - max() takes longer
        counts_us if counts_us > 0 else 0,  # noqa: FURB136 - as above
        input_us if input_us > 0 else 0,  # noqa: FURB136 - as above
        output_us if output_us > 0 else 0,  # noqa: FURB136 - as above
        counters.in_flight,
        counters.held_micros,
        spent.get(periods.day_name, 0),
        spent.get(periods.month_name, 0),
    )
