"""What limits and budgets have left, for the admin API."""

import asyncio
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
    subject = "global" if kind == "global" else f"{kind} {name}"
    return await _left(tenancy, _key_of(tenancy, config, kind, name), subject)


async def page_of_limits(
    tenancy: Tenancy, config: Config, limit: int, after: str
) -> dict[str, Any]:
    """Return what those have left that have a limit or a budget, by name: all together, keys, owners.

    Args:
        tenancy: which counts.
        config: with the static keys.
        limit: how many at most.
        after: the name behind which the page begins, such as `key laptop`; empty: the first page.
    """
    of = tenancy.admission.policies.of
    subjects = {each.name: key for key in _keys(tenancy, config) for each in of(key).subjects}
    names = sorted(name for name in subjects if name > after)
    page, has_more = names[:limit], len(names) > limit
    told = await asyncio.gather(*(_left(tenancy, subjects[name], name) for name in page))
    return {"data": told, "has_more": has_more, "next": page[-1] if has_more else None}


async def _left(tenancy: Tenancy, key: Key, subject: str) -> dict[str, Any]:
    """Return what a subject of a key has left."""
    periods = periods_at(int(time.time() * 1000))
    readings = await tenancy.admission.read(key, periods)
    shown = [_shown(each, periods) for each in readings if each.subject.name == subject]
    unlimited = {"type": "limits", "subject": subject, "limits": {}, "budgets": {}}
    return {**(shown[0] if shown else unlimited), "state": tenancy.admission.state}


def _keys(tenancy: Tenancy, config: Config) -> list[Key]:
    """Return the keys of configuration and store, and those of the host that have asked for something."""
    managed = tenancy.managed.all_keys() if tenancy.managed is not None else ()
    known = {key.name: key for key in (*config.keys, *managed)}
    return [*({key.name: key for key in tenancy.admission.policies.seen()} | known).values()]


def _key_of(tenancy: Tenancy, config: Config, kind: str, name: str) -> Key:
    """Return a key that is counted for the subject."""
    for key in _keys(tenancy, config):
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
            "shadow": subject.limits_shadow,
        }
        for name, limit, missing_us in rates
        if limit != NO_LIMIT
    }
    if subject.in_flight != NO_LIMIT:
        limits["max_in_flight"] = {
            "limit": subject.in_flight,
            "in_flight": reading.in_flight,
            "shadow": subject.limits_shadow,
        }
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
            "shadow": subject.budgets_shadow,
        }
        for name, budget, spent, ends_s in amounts
        if budget != NO_BUDGET
    }
    return {"type": "limits", "subject": subject.name, "limits": limits, "budgets": budgets}


def _utc(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
