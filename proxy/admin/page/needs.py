"""What needs somebody now: a sentence and where to look. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from proxy.admin.cooling import reason_of
from proxy.admin.page import figures
from proxy.admin.page.bounds import Budget
from proxy.admin.page.paths import quoted

_NEAR_PERCENT = 75
_FEW = 10
_FAILED_PERCENT = 5
_LATE_MS = 60_000
_DAILY = {"day": "daily", "month": "monthly"}


class Need(msgspec.Struct, frozen=True):
    """What needs somebody.

    Attributes:
        text: a sentence.
        path: of the page to look at, below where the pages are; '': there is none.
    """

    text: str
    path: str


def of_budgets(budgets: Iterable[Budget], now_ms: int) -> list[Need]:
    """Return which budgets are spent or nearly so, the worst first."""
    near = [
        each
        for each in budgets
        if each.limit_micros
        and each.spent_micros * 100 >= each.limit_micros * _NEAR_PERCENT
        and not each.is_shadow
    ]
    near.sort(key=lambda each: -each.spent_micros / each.limit_micros)
    return [Need(_of_budget(each, now_ms), _path(each)) for each in near]


def _of_budget(budget: Budget, now_ms: int) -> str:
    who = {"global": "All keys together"}.get(budget.subject, budget.name)
    amount = f"{_DAILY[budget.period]} {figures.bound(budget.limit_micros)}"
    again = f"{figures.minute(budget.resets_ms)} UTC"
    if budget.is_over:
        return f"{who} has spent its {amount}; refused until {again}."
    used = figures.share(budget.spent_micros, budget.limit_micros)
    reached_ms = budget.reached_ms(now_ms)
    pace = (
        ""
        if reached_ms is None
        else f"; at this pace it is used up at {figures.minute(reached_ms)} UTC"
    )
    return f"{who} has used {used} of its {amount}{pace}."


def _path(budget: Budget) -> str:
    return f"keys/{quoted(budget.name)}" if budget.subject.startswith("key ") else "keys"


def of_upstreams(upstreams: Iterable[Mapping[str, Any]]) -> list[Need]:
    """Return which upstreams cool or fail, from what `GET /admin/v1/upstreams` tells of them."""
    return [
        Need(
            f"{each['upstream']} {each['state']} since {str(each['since'])[11:16]} UTC: {reason_of(each)}.",
            "upstreams",
        )
        for each in upstreams
        if each["state"] in ("cooling", "failing")
    ]


def of_receivers(silent: Mapping[str, int]) -> list[Need]:
    """Return which receivers of alerts take none, from since when they do not."""
    return [
        Need(f"Alerts do not reach {place} since {figures.minute(since_ms)} UTC.", "")
        for place, since_ms in sorted(silent.items())
    ]


def of_failures(failed: int, requests: int) -> list[Need]:
    """Return whether too many requests of the last minutes have failed."""
    if requests < _FEW or failed * 100 < requests * _FAILED_PERCENT:
        return []
    share = figures.share(failed, requests)
    return [Need(f"{share} of the requests of the last 15 minutes failed.", "errors")]


def of_ledger(told: Iterable[Mapping[str, Any]], silent: int, now_ms: int) -> list[Need]:
    """Return what is wrong with how rows come to the store, from what each worker tells, and workers that do not."""
    rows = list(told)
    needs = []
    if silent:
        needs.append(
            Need(f"{figures.counted(silent, 'worker')} of this machine: no answer.", "live")
        )
    lost = sum(each["lost_rows"] for each in rows)
    if lost:
        needs.append(Need(f"{figures.counted(lost, 'row')} of the ledger lost.", "errors"))
    oldest_ms = min((each["oldest_ms"] for each in rows if each["oldest_ms"]), default=now_ms)
    if now_ms - oldest_ms > _LATE_MS:
        late = figures.duration(now_ms - oldest_ms)
        needs.append(Need(f"The ledger is {late} behind: the store takes no rows.", "errors"))
    return needs
