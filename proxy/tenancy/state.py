"""What limits and budgets have left, for the admin API."""

import datetime
import time
from typing import Any

from proxy.config import Config, Key
from proxy.errors import NotFound
from proxy.limits.bucket import remaining
from proxy.limits.periods import Periods, periods_at
from proxy.limits.policy import NO_BUDGET, NO_LIMIT
from proxy.limits.verdict import Reading
from proxy.tenancy.tenancy import Tenancy

_US_PER_S = 1_000_000


async def limits_of(tenancy: Tenancy, config: Config, kind: str, name: str) -> dict[str, Any]:
    """Return what a key, an owner or all together have left.

    Args:
        tenancy: which counts.
        config: with the static keys.
        kind: `key`, `owner` or `global`.
        name: of the key or owner.

    Raises:
        NotFound: there is none, or it has no key.
    """
    key = _key_of(tenancy, config, kind, name)
    periods = periods_at(int(time.time() * 1000))
    subject = "global" if kind == "global" else f"{kind} {name}"
    for reading in await tenancy.admission.read(key, periods):
        if reading.subject.name == subject:
            return {**_shown(reading, periods), "state": tenancy.admission.state}
    return {
        "type": "limits",
        "subject": subject,
        "limits": {},
        "budgets": {},
        "state": tenancy.admission.state,
    }


def _key_of(tenancy: Tenancy, config: Config, kind: str, name: str) -> Key:
    """Return a key that is counted for the subject."""
    keys: list[Key] = [
        *config.keys,
        *(tenancy.managed.listed() if tenancy.managed is not None else ()),
    ]
    for key in keys:
        if kind == "global" or name == (key.name if kind == "key" else key.owner):
            return key
    raise NotFound(f"no such {kind}: {name}" if kind == "key" else f"no key of {kind} {name}")


def _shown(reading: Reading, periods: Periods) -> dict[str, Any]:
    subject = reading.subject
    rates = (
        ("requests_per_minute", subject.requests, reading.requests_us),
        ("input_tokens_per_minute", subject.input_tokens, reading.input_us),
        ("output_tokens_per_minute", subject.output_tokens, reading.output_us),
    )
    limits: dict[str, Any] = {
        name: {
            "limit": limit,
            "remaining": remaining(missing_us, limit),
            "reset": _utc(time.time() + missing_us / _US_PER_S),
        }
        for name, limit, missing_us in rates
        if limit != NO_LIMIT
    }
    if subject.in_flight != NO_LIMIT:
        limits["max_in_flight"] = {"limit": subject.in_flight, "in_flight": reading.in_flight}
    amounts = (
        ("day", subject.day_micros, reading.day_micros, periods.day_ends_s),
        ("month", subject.month_micros, reading.month_micros, periods.month_ends_s),
    )
    budgets = {
        name: {
            "limit_micros": budget,
            "spent_micros": spent,
            "held_micros": reading.held_micros,
            "resets_at": _utc(ends_s),
        }
        for name, budget, spent, ends_s in amounts
        if budget != NO_BUDGET
    }
    return {"type": "limits", "subject": subject.name, "limits": limits, "budgets": budgets}


def _utc(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
