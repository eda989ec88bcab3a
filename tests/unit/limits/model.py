"""Limits and budgets once more, by lists of all that ever happened: slow, and too plain to be wrong."""

import dataclasses
from collections.abc import Callable, Iterator

from proxy.limits.bucket import MINUTE_US, cost_us
from proxy.limits.policy import Subject
from proxy.limits.verdict import Ask, Grant, Metric, Reading


@dataclasses.dataclass(eq=False)
class Request:
    """A request that was let in."""

    at_us: int
    ask: Ask
    grant: Grant | None = None
    settled: tuple[int, int, int] | None = None
    settled_before: int = 0  # how many had been let in by then

    @property
    def is_in_flight(self) -> bool:
        return self.settled is None and not self.ask.counting

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output: as reserved, then as used."""
        if self.settled is None:
            return self.ask.input_tokens, self.ask.output_tokens
        return self.settled[:2]


class Model:
    """What one subject has let in."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.requests: list[Request] = []
        self.tokens_us = [0, 0]
        self.over_holds = 0

    def reading(self, ask: Ask, now_us: int) -> Reading:
        """Read off what was used, in the periods of an ask."""
        running = [each for each in self.requests if each.is_in_flight]
        return Reading(
            self.subject,
            self._requests_us(now_us, counting=False),
            self._requests_us(now_us, counting=True),
            max(0, self.tokens_us[0] - now_us),
            max(0, self.tokens_us[1] - now_us),
            len(running),
            sum(each.ask.hold_micros for each in running),
            self.spent(lambda each: each.ask.periods.day == ask.periods.day),
            self.spent(lambda each: each.ask.periods.month == ask.periods.month),
        )

    def spent(self, among: Callable[[Request], bool]) -> int:
        if not self.subject.has_budget:
            return 0
        return sum(each.settled[2] for each in self.requests if each.settled and among(each))

    def _requests_us(self, now_us: int, *, counting: bool) -> int:
        """The bucket is as full as its worst window says: what was taken in it, less the time since it began."""
        if not self.subject.requests:
            return 0
        unit = cost_us(1, self.subject.requests)
        times = [each.at_us for each in self.requests if each.ask.counting is counting]
        worst = [at_us + unit * (len(times) - index) - now_us for index, at_us in enumerate(times)]
        return max(0, *worst, 0)

    def admit(self, request: Request) -> None:
        reading, hold = self.reading(request.ask, request.at_us), request.ask.hold_micros
        self.requests.append(request)
        if hold:
            # Who is let in alone may take more than is left.
            self.over_holds = max(
                0,
                *(
                    spent + hold - budget
                    for spent, budget in (
                        (reading.day_micros, self.subject.day_micros),
                        (reading.month_micros, self.subject.month_micros),
                    )
                    if budget >= 0 and reading.held_micros == 0 and not request.ask.policy.strict
                ),
                0,
            )
        for index, (units, limit) in enumerate(self._token_limits(request)):
            if limit and units:
                self.tokens_us[index] = max(self.tokens_us[index], request.at_us) + cost_us(
                    units, limit
                )

    def settle(self, request: Request, used: tuple[int, int, int]) -> None:
        """Called before the request is told."""
        for index, (units, limit) in enumerate(self._token_limits(request)):
            if limit:
                self.tokens_us[index] += cost_us(used[index], limit) - cost_us(units, limit)
        self.over_holds += max(0, used[2] - request.ask.hold_micros)
        request.settled_before = len(self.requests)

    def _token_limits(self, request: Request) -> tuple[tuple[int, int], tuple[int, int]]:
        asked = request.tokens
        return (asked[0], self.subject.input_tokens), (asked[1], self.subject.output_tokens)

    def tokens_in_windows(self, index: int) -> Iterator[tuple[int, int]]:
        """Yield of each window up to now: its beginning, and the input (0) or output (1) tokens that count in it.

        Those that were given back in it of what was reserved before it are no part of it.
        """
        for first, request in enumerate(self.requests):
            taken = sum(each.tokens[index] for each in self.requests[first:])
            given_back = sum(
                max(0, (each.ask.input_tokens, each.ask.output_tokens)[index] - each.settled[index])
                for each in self.requests[:first]
                if each.settled and each.settled_before > first
            )
            yield request.at_us, taken - given_back

    def refuses(self, ask: Ask, now_us: int) -> Iterator[Metric]:
        """Yield what there is no room in."""
        reading, subject = self.reading(ask, now_us), self.subject
        waits = (
            (Metric.COUNTS, reading.counts_us, int(ask.counting), subject.requests),
            (Metric.REQUESTS, reading.requests_us, int(not ask.counting), subject.requests),
            (Metric.INPUT_TOKENS, reading.input_us, ask.input_tokens, subject.input_tokens),
            (Metric.OUTPUT_TOKENS, reading.output_us, ask.output_tokens, subject.output_tokens),
        )
        for metric, missing_us, units, limit in waits:
            if units and limit and missing_us + cost_us(units, limit) > MINUTE_US:
                yield metric
        if not ask.counting and subject.in_flight and reading.in_flight == subject.in_flight:
            yield Metric.IN_FLIGHT
        budgets = (
            (Metric.DAY, reading.day_micros, subject.day_micros),
            (Metric.MONTH, reading.month_micros, subject.month_micros),
        )
        for metric, spent, budget in budgets if ask.hold_micros else ():
            no_room = 0 <= budget < spent + reading.held_micros + ask.hold_micros
            is_alone = not ask.policy.strict and reading.held_micros == 0 and spent < budget
            if no_room and not is_alone:
                yield metric
