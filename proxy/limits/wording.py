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

from multidict import istr

from proxy.causes import Cause
from proxy.errors import BudgetExceeded, LimitExceeded
from proxy.limits.bucket import remaining
from proxy.limits.periods import Periods
from proxy.limits.verdict import Metric, Reading, Refusal, Rule

Fields = list[tuple[str, str]]

# Headers of an upstream that speak of the operator's account, and are replaced by ours.
UPSTREAMS_OWN = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")

_RATELIMIT = "anthropic-ratelimit-"
_UNIFIED = f"{_RATELIMIT}unified-"
_POOL = [(istr(f"{_UNIFIED}overage-scope"), "group_pool")]
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


def _names(metric: str) -> tuple[istr, istr, istr]:
    return (
        istr(f"{_RATELIMIT}{metric}-limit"),
        istr(f"{_RATELIMIT}{metric}-remaining"),
        istr(f"{_RATELIMIT}{metric}-reset"),
    )


_REQUESTS, _INPUT, _OUTPUT, _TOKENS = map(
    _names, ("requests", "input-tokens", "output-tokens", "tokens")
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
    return LimitExceeded(message, cause, wait_s, _rates(readings, now_s, counting=counting))


def admitted(
    readings: Sequence[Reading], periods: Periods, now_s: float, *, counting: bool = False
) -> Fields:
    """Return the headers that tell what is left, for a response that is no error.

    Args:
        readings: what each subject of the key's policy has used.
        periods: those the request came in.
        now_s: Unix seconds.
        counting: whether it is no message but counted tokens, of which budgets know nothing.
    """
    fields = _rates(readings, now_s, counting=counting)
    if not counting:
        fields += _unified(readings, periods)
    return fields


def _rates(readings: Sequence[Reading], now_s: float, *, counting: bool) -> Fields:
    """Return each rate of the subject with the least left of it; `tokens` is the one of both with the smaller share."""
    requests = inputs = outputs = _NOTHING
    for reading in readings:
        subject = reading.subject
        if subject.limits_shadow:
            continue
        if limit := subject.requests:
            missing_us = reading.counts_us if counting else reading.requests_us
            requests = min(requests, (remaining(missing_us, limit), limit, missing_us))
        if limit := subject.input_tokens:
            inputs = min(inputs, (remaining(reading.input_us, limit), limit, reading.input_us))
        if limit := subject.output_tokens:
            outputs = min(outputs, (remaining(reading.output_us, limit), limit, reading.output_us))
    tokens = inputs if inputs[0] * outputs[1] < outputs[0] * inputs[1] else outputs
    fields: Fields = []
    for names, (units, limit, missing_us) in (
        (_REQUESTS, requests),
        (_INPUT, inputs),
        (_OUTPUT, outputs),
        (_TOKENS, tokens),
    ):
        if limit:
            fields += (
                (names[0], str(limit)),
                (names[1], str(units)),
                (names[2], _rfc3339(math.ceil(now_s + missing_us / _SECOND_US))),
            )
    return fields


def _unified(readings: Sequence[Reading], periods: Periods) -> Sequence[tuple[str, str]]:
    """Return the fullest budget: of what is spent, since what is held goes down again."""
    fullest, pool, resets_s = -1, False, 0
    for reading in readings:
        subject = reading.subject
        if subject.budgets_shadow or not subject.has_budget:
            continue
        day, month = subject.day_micros, subject.month_micros
        if day >= 0 and (percent := _percent(reading.day_micros, day)) > fullest:
            fullest, pool, resets_s = percent, subject.is_pool, periods.day_ends_s
        if month >= 0 and (percent := _percent(reading.month_micros, month)) > fullest:
            fullest, pool, resets_s = percent, subject.is_pool, periods.month_ends_s
    return _share(fullest, resets_s, pool=pool) if fullest >= 0 else ()


def _percent(spent: int, budget: int) -> int:
    return min(spent * 100 // budget, _MOST_PERCENT) if budget else _MOST_PERCENT


@functools.lru_cache(_CACHED_SHARES)
def _share(percent: int, resets_s: int, *, pool: bool) -> Sequence[tuple[str, str]]:
    """Return how much of a budget is spent."""
    passed = next((text for threshold, text in _THRESHOLDS if percent >= threshold), None)
    status = "allowed_warning" if passed else "allowed"
    return (
        (istr(f"{_UNIFIED}status"), status),
        (istr(f"{_UNIFIED}overage-status"), status),
        (istr(f"{_UNIFIED}representative-claim"), "overage"),
        (istr(f"{_UNIFIED}overage-utilization"), f"0.{percent:02d}"),
        (istr(f"{_UNIFIED}reset"), str(resets_s)),
        (istr(f"{_UNIFIED}overage-reset"), str(resets_s)),
        *(((istr(f"{_UNIFIED}overage-surpassed-threshold"), passed),) if passed else ()),
        *(_POOL if pool else ()),
    )


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
def _rfc3339(at_s: int) -> str:
    return f"{_utc(at_s):%Y-%m-%dT%H:%M:%SZ}"
