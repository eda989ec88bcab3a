"""How limits and budgets are told to clients: messages, and the headers the API has for them. Pure.

Three sets of headers: `retry-after` and `x-should-retry`, which the errors have themselves; `anthropic-ratelimit-*` of
requests and tokens, with what is left of each; and `anthropic-ratelimit-unified-*`, of which Claude Code draws what is
left of a budget. The words of the last are the client's own: a `representative-claim` other than `overage` makes it
calculate with times, and one on a refusal makes it drop the message.
"""

import datetime
import functools
import math
import sys
from collections.abc import Sequence

from proxy.causes import Cause
from proxy.errors import BudgetExceeded, LimitExceeded
from proxy.limits.bucket import MINUTE_US
from proxy.limits.periods import Periods
from proxy.limits.verdict import Metric, Reading, Refusal, Rule

Fields = list[tuple[str, str]]

# Headers of an upstream that speak of the operator's account, and are replaced by ours.
UPSTREAMS_OWN = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")

_RATELIMIT = "anthropic-ratelimit-"
_UNIFIED = f"{_RATELIMIT}unified-"
_POOL = [(f"{_UNIFIED}overage-scope", "group_pool")]
_SECOND_US = 1_000_000
_MICROS = 1_000_000
_RETRY_S = 5
# While requests pass, the client must not read that there is nothing left.
_MOST_PERCENT = 99
_THRESHOLDS = ((95, "0.95"), (75, "0.75"))
_CACHED_SECONDS = 256
_CACHED_SHARES = 512
# Units left, limit, and in how many microseconds the bucket is full again: of no limit, so that any has less.
_NOTHING = (sys.maxsize, 0, 0)
_WORDS = {
    Metric.REQUESTS: "requests per minute",
    Metric.COUNTS: "token counts per minute",
    Metric.INPUT_TOKENS: "input tokens per minute",
    Metric.OUTPUT_TOKENS: "output tokens per minute",
    Metric.IN_FLIGHT: "requests in flight",
    Metric.DAY: "daily",
    Metric.MONTH: "monthly",
}


def _lines_of(metric: str) -> bytes:
    """Return the lines of a rate, to be filled in with limit, rest and reset."""
    start = f"{_RATELIMIT}{metric}"
    return f"{start}-limit: %d\r\n{start}-remaining: %d\r\n{start}-reset: %b\r\n".encode()


_REQUESTS, _INPUT, _OUTPUT, _TOKENS = map(
    _lines_of, ("requests", "input-tokens", "output-tokens", "tokens")
)


def refused(
    refusal: Refusal,
    readings: Sequence[Reading],
    periods: Periods,
    now_s: float,
    contact: str = "",
) -> LimitExceeded | BudgetExceeded:
    """Return the failure that tells a client why it was refused.

    Args:
        refusal: why.
        readings: what each subject of the key's policy has used.
        periods: those the request came in.
        now_s: Unix seconds.
        contact: ends the message of a spent budget: whom to ask for more.
    """
    name, metric, rule = refusal.subject.name, refusal.metric, refusal.rule
    cause, words = Cause(rule.value), _WORDS[metric]
    if rule is Rule.BUDGET_SPENT:
        resets_s = _resets_s(metric, periods)
        return BudgetExceeded(
            f"spend limit reached ({words}, {_dollars(_limit(refusal))} of {name}; "
            f"resets {_utc(resets_s):%Y-%m-%d %H:%M} UTC)" + (f". {contact}" if contact else ""),
            cause,
            max(1, math.ceil(resets_s - now_s)),
            _rejected(refusal, resets_s),
        )
    if rule is Rule.BUDGET_HELD:
        message = (
            f"the rest of the budget ({words}, {_dollars(_limit(refusal))} of {name}) "
            "is held by requests in flight; try again"
        )
    else:
        message = f"{words} of {name}: {_limit(refusal)}"
    wait_s = math.ceil(refusal.wait_us / _SECOND_US) or _RETRY_S
    counting = metric is Metric.COUNTS
    rates = fields_of(_rates(readings, now_s, counting=counting))
    return LimitExceeded(message, cause, wait_s, rates)


def admitted(
    readings: Sequence[Reading], periods: Periods, now_s: float, *, counting: bool = False
) -> bytes:
    """Return the headers that tell what is left, for a response that is no error: lines, each with its end.

    Every response has eighteen of them, which nobody changes: as lines they cost a third of what fields do.

    Args:
        readings: what each subject of the key's policy has used.
        periods: those the request came in.
        now_s: Unix seconds.
        counting: whether it is no message but counted tokens, of which budgets know nothing.
    """
    rates = _rates(readings, now_s, counting=counting)
    return rates if counting else rates + _unified(readings, periods)


def fields_of(lines: bytes) -> Fields:
    """Return lines as names and values."""
    return [
        (name, value)
        for name, _, value in (line.partition(": ") for line in lines.decode().splitlines())
    ]


def _rates(  # noqa: C901 - thrice the same, written out as said below
    readings: Sequence[Reading], now_s: float, *, counting: bool
) -> bytes:
    """Return each rate of the subject with the least left of it; `tokens` is the one of both with the smaller share."""
    requests = inputs = outputs = _NOTHING
    for reading in readings:
        subject = reading.subject
        if subject.limits_shadow:
            continue
        # Of each, what `bucket.remaining` says: without calls, since every response asks for it.
        if limit := subject.requests:
            us = reading.counts_us if counting else reading.requests_us
            units = (MINUTE_US - us) * limit // MINUTE_US if us < MINUTE_US else 0
            if (told := (units, limit, us)) < requests:
                requests = told
        if limit := subject.input_tokens:
            us = reading.input_us
            units = (MINUTE_US - us) * limit // MINUTE_US if us < MINUTE_US else 0
            if (told := (units, limit, us)) < inputs:
                inputs = told
        if limit := subject.output_tokens:
            us = reading.output_us
            units = (MINUTE_US - us) * limit // MINUTE_US if us < MINUTE_US else 0
            if (told := (units, limit, us)) < outputs:
                outputs = told
    tokens = inputs if inputs[0] * outputs[1] < outputs[0] * inputs[1] else outputs
    told_lines = b""
    for lines, (units, limit, us) in (
        (_REQUESTS, requests),
        (_INPUT, inputs),
        (_OUTPUT, outputs),
        (_TOKENS, tokens),
    ):
        if limit:
            told_lines += lines % (limit, units, _rfc3339(math.ceil(now_s + us / _SECOND_US)))
    return told_lines


def _unified(readings: Sequence[Reading], periods: Periods) -> bytes:
    """Return the fullest budget: of what is spent, since what is held goes down again."""
    fullest, pool, resets_s = -1, False, 0
    for reading in readings:
        subject = reading.subject
        if not subject.has_budget or subject.budgets_shadow:
            continue
        day, month = subject.day_micros, subject.month_micros
        # Of a budget of nothing, all is spent.
        if day >= 0:
            percent = reading.day_micros * 100 // day if day else _MOST_PERCENT
            if percent > fullest and fullest < _MOST_PERCENT:
                fullest, pool, resets_s = percent, subject.is_pool, periods.day_ends_s
        if month >= 0:
            percent = reading.month_micros * 100 // month if month else _MOST_PERCENT
            if percent > fullest and fullest < _MOST_PERCENT:
                fullest, pool, resets_s = percent, subject.is_pool, periods.month_ends_s
    if fullest < 0:
        return b""
    return _share(min(fullest, _MOST_PERCENT), resets_s, pool=pool)


@functools.lru_cache(_CACHED_SHARES)
def _share(percent: int, resets_s: int, *, pool: bool) -> bytes:
    """Return how much of a budget is spent."""
    passed = next((text for threshold, text in _THRESHOLDS if percent >= threshold), None)
    status = "allowed_warning" if passed else "allowed"
    fields = (
        (f"{_UNIFIED}status", status),
        (f"{_UNIFIED}overage-status", status),
        (f"{_UNIFIED}representative-claim", "overage"),
        (f"{_UNIFIED}overage-utilization", f"0.{percent:02d}"),
        (f"{_UNIFIED}reset", str(resets_s)),
        (f"{_UNIFIED}overage-reset", str(resets_s)),
        *(((f"{_UNIFIED}overage-surpassed-threshold", passed),) if passed else ()),
        *(_POOL if pool else ()),
    )
    return "".join([f"{name}: {value}\r\n" for name, value in fields]).encode()


def _rejected(refusal: Refusal, resets_s: int) -> Fields:
    """Describe a spent budget; a claim or an overage's status would make the client drop the message."""
    return [
        (f"{_UNIFIED}status", "rejected"),
        (f"{_UNIFIED}reset", str(resets_s)),
        (f"{_UNIFIED}overage-reset", str(resets_s)),
        (f"{_UNIFIED}overage-utilization", "1"),
        (f"{_UNIFIED}overage-surpassed-threshold", "1"),
        (f"{_UNIFIED}overage-period", _WORDS[refusal.metric]),
        (f"{_UNIFIED}overage-disabled-reason", "org_spend_cap_reached"),
        *(_POOL if refusal.subject.is_pool else ()),
    ]


def _limit(refusal: Refusal) -> int:
    subject = refusal.subject
    return {
        Metric.INPUT_TOKENS: subject.input_tokens,
        Metric.OUTPUT_TOKENS: subject.output_tokens,
        Metric.IN_FLIGHT: subject.in_flight,
        Metric.DAY: subject.day_micros,
        Metric.MONTH: subject.month_micros,
    }.get(refusal.metric, subject.requests)


def _resets_s(metric: Metric, periods: Periods) -> int:
    return periods.day_ends_s if metric is Metric.DAY else periods.month_ends_s


def _dollars(micros: int) -> str:
    """Write an amount exactly, and with two decimals at the least."""
    whole, fraction = divmod(micros, _MICROS)
    return f"${whole}.{f'{fraction:06d}'.rstrip('0'):0<2}"


def _utc(at_s: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)


@functools.lru_cache(_CACHED_SECONDS)
def _rfc3339(at_s: int) -> bytes:
    return f"{_utc(at_s):%Y-%m-%dT%H:%M:%SZ}".encode()
