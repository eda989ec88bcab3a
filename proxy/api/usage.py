"""`GET /api/oauth/usage`: what the caller's own key has left of its budgets, in the words Claude Code asks in."""

import datetime
import time

import msgspec
from aiohttp import web

from proxy.api.chain import caller
from proxy.gateway import GATEWAY
from proxy.limits.periods import Periods, periods_at
from proxy.limits.verdict import Reading

_MICROS_PER_CENT = 10_000
_MOST_PERCENT = 100


async def report_usage(request: web.Request) -> web.Response:
    """Serve `GET /api/oauth/usage`."""
    key, tenancy = caller(request), request.app[GATEWAY].tenancy
    if tenancy is None:
        raise RuntimeError("the route is there with limits and ledger only")
    periods = periods_at(int(time.time() * 1000))
    readings = await tenancy.admission.read(key, periods)
    body = msgspec.json.encode(usage_of(readings, periods))
    return web.Response(body=body, content_type="application/json")


def usage_of(readings: tuple[Reading, ...], periods: Periods) -> dict[str, object]:
    """Return what was spent of the budgets of a key's subjects. Pure.

    Args:
        readings: what each has used.
        periods: the present ones.
    """
    budgets = []
    for reading in readings:
        subject = reading.subject
        if subject.budgets_shadow:
            continue
        if subject.day_micros >= 0:
            budgets.append(("daily", reading.day_micros, subject.day_micros, periods.day_ends_s))
        if subject.month_micros >= 0:
            ends_s = periods.month_ends_s
            budgets.append(("monthly", reading.month_micros, subject.month_micros, ends_s))
    fullest = max(budgets, key=lambda each: _percent(each[1], each[2]), default=None)
    own = next((each for each in readings if not each.subject.is_pool), None)
    return {
        "extra_usage": {
            "is_enabled": bool(budgets),
            "monthly_limit": None if fullest is None else fullest[2] / _MICROS_PER_CENT,
            "used_credits": fullest[1] / _MICROS_PER_CENT
            if fullest is not None
            else (0 if own is None else own.month_micros / _MICROS_PER_CENT),
            "utilization": None if fullest is None else _percent(fullest[1], fullest[2]),
            "currency": "USD",
        },
        "limits": [
            {
                "kind": "spend",
                "group": group,
                "percent": _percent(spent, budget),
                "resets_at": _rfc3339(resets_s),
                "severity": "normal",
                "is_active": (group, spent, budget, resets_s) == fullest,
            }
            for group, spent, budget, resets_s in budgets
        ],
    }


def _percent(spent: int, budget: int) -> int:
    return min(spent * 100 // budget, _MOST_PERCENT) if budget else _MOST_PERCENT


def _rfc3339(at_s: int) -> str:
    at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
