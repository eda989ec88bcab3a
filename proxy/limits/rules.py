"""Which limits and budgets a request is over, told plainly. Pure.

`local.py` and `tenancy.lua` first look whether there is any, and only then which. When several refuse, the one that
lasts longest is told: a retry when the shorter one is over would be refused again.
"""

from collections.abc import Iterable, Iterator

from proxy.limits.bucket import MINUTE_US, cost_us
from proxy.limits.verdict import Ask, Metric, Reading, Refusal


def over(reading: Reading, ask: Ask) -> Iterator[Refusal]:
    """Yield what a subject has against a request, its shadow limits and budgets included."""
    subject = reading.subject
    counted = (
        (Metric.REQUESTS, reading.requests_us, not ask.counting, subject.requests),
        (Metric.COUNTS, reading.counts_us, ask.counting, subject.requests),
        (Metric.INPUT_TOKENS, reading.input_us, ask.input_tokens, subject.input_tokens),
        (Metric.OUTPUT_TOKENS, reading.output_us, ask.output_tokens, subject.output_tokens),
    )
    for metric, missing_us, units, per_minute in counted:
        if per_minute and units:
            wait_us = missing_us + cost_us(units, per_minute) - MINUTE_US
            if wait_us > 0:
                yield Refusal(subject, metric, wait_us)
    if subject.in_flight and not ask.counting and reading.in_flight >= subject.in_flight:
        yield Refusal(subject, Metric.IN_FLIGHT)
    budgets = (
        (Metric.DAY, reading.day_micros, subject.day_micros),
        (Metric.MONTH, reading.month_micros, subject.month_micros),
    )
    hold, strict = ask.hold_micros, ask.policy.strict
    for metric, spent, budget in budgets:
        if hold and is_over_budget(budget, spent, reading.held_micros, hold, strict=strict):
            yield Refusal(
                subject, metric, spent=spent + hold > budget if strict else spent >= budget
            )


def is_over_budget(budget: int, spent: int, held: int, hold: int, *, strict: bool) -> bool:
    """Return whether a budget has no room for what a request may cost.

    Unless it is strict, what is expected to be too much is let in alone, as long as something is left: an expectation
    can be wrong, and a budget smaller than one could never be used.
    """
    if not 0 <= budget < spent + held + hold:
        return False
    return strict or held > 0 or spent >= budget


def is_shadow(refusal: Refusal) -> bool:
    """Return whether it is only noted, since its subject's limits or budgets are in shadow mode."""
    subject = refusal.subject
    return subject.limits_shadow if refusal.metric < Metric.DAY else subject.budgets_shadow


def longest(refusals: Iterable[Refusal]) -> Refusal:
    """Return the one to tell: a spent budget, then a rate, then a held budget, then a slot.

    A slot comes last, so that a request that lacks nothing else can be let wait for it.
    """
    return max(refusals, key=_rank)


def _rank(refusal: Refusal) -> tuple[int, int]:
    if refusal.spent:
        return 3, refusal.metric
    if refusal.metric < Metric.IN_FLIGHT:
        return 2, refusal.wait_us
    return int(refusal.metric > Metric.IN_FLIGHT), refusal.metric
