"""What a request takes of the counters of one subject. Pure."""

from proxy.limits import bucket
from proxy.limits.bucket import MINUTE_US
from proxy.limits.periods import is_past
from proxy.limits.policy import Subject
from proxy.limits.rules import is_over_budget
from proxy.limits.verdict import Ask

State = tuple[int, int, int, int]
"""Of the buckets of requests, token counts, input and output: when each is full again."""


def counted(subject: Subject, now_us: int) -> State | None:
    """Return the buckets behind what counting tokens takes of one subject; None: there is no room."""
    counters = subject.counters
    counts_us = counters.counts_us
    if unit_us := subject.request_us:
        counts_us = bucket.take(counts_us, unit_us, now_us)
        if counts_us > now_us + MINUTE_US:
            return None
    return counters.requests_us, counts_us, counters.input_us, counters.output_us


def entered(subject: Subject, ask: Ask, now_us: int) -> State | None:
    """Return the buckets behind what a message takes of one subject; None: `rules.over` has something against it.

    It is asked for every request, so what it would call is written out: each call costs as much as ten of these lines.
    A bucket of which nothing is taken keeps its state, as in `tenancy.lua`.
    """
    counters = subject.counters
    room_us = now_us + MINUTE_US
    requests_us, input_us, output_us = counters.requests_us, counters.input_us, counters.output_us
    if unit_us := subject.request_us:
        requests_us = (requests_us if requests_us > now_us else now_us) + unit_us  # noqa: FURB136 - max() takes longer
        if requests_us > room_us:
            return None
    if (limit := subject.input_tokens) and (units := ask.input_tokens):
        input_us = (input_us if input_us > now_us else now_us) - (-units * MINUTE_US // limit)  # noqa: FURB136 - as above
        if input_us > room_us:
            return None
    if (limit := subject.output_tokens) and (units := ask.output_tokens):
        output_us = (output_us if output_us > now_us else now_us) - (-units * MINUTE_US // limit)  # noqa: FURB136 - as above
        if output_us > room_us:
            return None
    if (limit := subject.in_flight) and counters.in_flight >= limit:
        return None
    if subject.has_budget and ask.hold_micros and not _is_affordable(subject, ask):
        return None
    return requests_us, counters.counts_us, input_us, output_us


def _is_affordable(subject: Subject, ask: Ask) -> bool:
    counters, periods, hold, strict = (
        subject.counters,
        ask.periods,
        ask.hold_micros,
        ask.policy.strict,
    )
    spent, held = counters.spent_micros, counters.held_micros
    day, month = spent.get(periods.day_name, 0), spent.get(periods.month_name, 0)
    taken = held + hold
    # What is not over is the rule, and told without a call.
    return (
        not 0 <= subject.day_micros < day + taken
        or not is_over_budget(subject.day_micros, day, held, hold, strict=strict)
    ) and (
        not 0 <= subject.month_micros < month + taken
        or not is_over_budget(subject.month_micros, month, held, hold, strict=strict)
    )


def take(subject: Subject, ask: Ask, now_us: int, *, rates: bool) -> None:
    """Take what a request takes of one subject, room or not; without rates, only the slot and the money.

    A bucket of which nothing is taken keeps its state, as in `tenancy.lua`.
    """
    counters, request_us = subject.counters, subject.request_us if rates else 0
    if ask.counting:
        counters.counts_us = bucket.take(counters.counts_us, request_us, now_us)
        return
    counters.requests_us = bucket.take(counters.requests_us, request_us, now_us)
    if rates and subject.input_tokens and ask.input_tokens:
        cost_us = bucket.cost_us(ask.input_tokens, subject.input_tokens)
        counters.input_us = bucket.take(counters.input_us, cost_us, now_us)
    if rates and subject.output_tokens and ask.output_tokens:
        cost_us = bucket.cost_us(ask.output_tokens, subject.output_tokens)
        counters.output_us = bucket.take(counters.output_us, cost_us, now_us)
    counters.in_flight += 1
    counters.held_micros += ask.hold_micros


def spend(spent: dict[str, int], period: str, micros: int) -> None:
    """Add to what was spent in a period; those before the last one are forgotten when a new one begins."""
    if period in spent:
        spent[period] += micros
    elif micros:
        for name in [name for name in spent if name[0] == period[0] and is_past(name, period)]:
            del spent[name]
        spent[period] = micros
