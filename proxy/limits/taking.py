"""What a request takes of the counters of one subject, and gives back. Pure."""

from proxy.limits import bucket
from proxy.limits.bucket import MINUTE_US
from proxy.limits.periods import is_past
from proxy.limits.policy import Counters, Subject
from proxy.limits.rules import is_over_budget
from proxy.limits.verdict import Ask


def count(subject: Subject, now_us: int) -> bool:
    """Take what counting tokens takes of one subject, unless there is no room."""
    if not subject.request_us:
        return True
    counts_us = bucket.take(subject.counters.counts_us, subject.request_us, now_us)
    if counts_us > now_us + MINUTE_US:
        return False
    subject.counters.counts_us = counts_us
    return True


def enter(subject: Subject, ask: Ask, now_us: int) -> bool:  # noqa: C901, PLR0912 - see below
    """Take what a message takes of one subject, unless `rules.over` has something against it.

    It is asked for every request, so what it would call is written out: each call costs as much as ten of these lines.
    """
    counters = subject.counters
    room_us = now_us + MINUTE_US
    requests_us = input_us = output_us = 0
    if unit_us := subject.request_us:
        full_us = counters.requests_us
        requests_us = (full_us if full_us > now_us else now_us) + unit_us  # noqa: FURB136 - as above
        if requests_us > room_us:
            return False
    if (limit := subject.input_tokens) and (units := ask.input_tokens):
        full_us = counters.input_us
        input_us = (full_us if full_us > now_us else now_us) - (-units * MINUTE_US // limit)  # noqa: FURB136 - max() takes longer
        if input_us > room_us:
            return False
    if (limit := subject.output_tokens) and (units := ask.output_tokens):
        full_us = counters.output_us
        output_us = (full_us if full_us > now_us else now_us) - (-units * MINUTE_US // limit)  # noqa: FURB136 - max() takes longer
        if output_us > room_us:
            return False
    if (limit := subject.in_flight) and counters.in_flight >= limit:
        return False
    if hold := ask.hold_micros:
        held = counters.held_micros + hold
        if subject.has_budget:
            spent, periods = counters.spent_micros, ask.periods
            for budget, used in (
                (subject.day_micros, spent.get(periods.day_name, 0)),
                (subject.month_micros, spent.get(periods.month_name, 0)),
            ):
                if 0 <= budget < used + held and is_over_budget(
                    budget, used, counters.held_micros, hold, strict=ask.policy.strict
                ):
                    return False
        counters.held_micros = held
    if requests_us:
        counters.requests_us = requests_us
    if input_us:
        counters.input_us = input_us
    if output_us:
        counters.output_us = output_us
    counters.in_flight += 1
    return True


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


def buckets(counters: Counters) -> tuple[int, int, int, int]:
    """Return the state of all buckets, for `leave`."""
    return counters.requests_us, counters.counts_us, counters.input_us, counters.output_us


def leave(counters: Counters, ask: Ask, before: tuple[int, int, int, int]) -> None:
    """Undo `enter` and `count`, since another subject refuses.

    The buckets get back the very state they had: a full one that was taken from and given back to would be full since
    now, and what is settled afterwards would weigh more than without the request that was refused.
    """
    counters.requests_us, counters.counts_us, counters.input_us, counters.output_us = before
    if not ask.counting:
        counters.in_flight -= 1
        counters.held_micros -= ask.hold_micros


def spend(spent: dict[str, int], period: str, micros: int) -> None:
    """Add to what was spent in a period; those before the last one are forgotten when a new one begins."""
    if period in spent:
        spent[period] += micros
    elif micros:
        for name in [name for name in spent if name[0] == period[0] and is_past(name, period)]:
            del spent[name]
        spent[period] = micros
