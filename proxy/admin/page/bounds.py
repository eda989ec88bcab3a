"""What keys and owners have left of limits and budgets, as the workers count it, for the pages."""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.admin.added import added, page_of
from proxy.admin.page.page import View

_HTTP_OK = 200
_AT_ONCE = 500
_MOST_PAGES = 10
_MS = 1000


class Budget(msgspec.Struct, frozen=True):
    """A budget of a day or a month.

    Attributes:
        subject: `key NAME`, `owner NAME` or `global`.
        period: `day` or `month`.
        limit_micros, spent_micros: of the period that runs.
        starts_ms, resets_ms: when it began, and when the next one does.
        is_shadow: whether nothing is refused by it.
    """

    subject: str
    period: str
    limit_micros: int
    spent_micros: int
    starts_ms: int
    resets_ms: int
    is_shadow: bool

    @property
    def name(self) -> str:
        """Whose it is."""
        return self.subject.partition(" ")[2]

    @property
    def is_over(self) -> bool:
        """Whether it is spent."""
        return self.spent_micros >= self.limit_micros

    def reached_ms(self, now_ms: int) -> int | None:
        """Return when it will be spent at this pace; None: not before the next one begins, or it is."""
        elapsed_ms = now_ms - self.starts_ms
        if self.is_over or self.spent_micros <= 0 or elapsed_ms <= 0:
            return None
        at_ms = self.starts_ms + elapsed_ms * self.limit_micros // self.spent_micros
        return at_ms if at_ms < self.resets_ms else None


class Limit(msgspec.Struct, frozen=True):
    """A limit: of a rate, what is left of it now; of what is in flight, what is not taken."""

    subject: str
    name: str
    limit: int
    left: int
    is_shadow: bool


class Bounds(msgspec.Struct, frozen=True):
    """What is left; `is_known`: whether a worker tells."""

    budgets: tuple[Budget, ...] = ()
    limits: tuple[Limit, ...] = ()
    is_known: bool = True


async def all_bounds(view: View) -> Bounds:
    """Return what all have left that have a limit or a budget, of some thousands at most."""
    told: list[Mapping[str, Any]] = []
    after = ""
    for _ in range(_MOST_PAGES):
        answers = await view.workers.all_limits(_AT_ONCE, after)
        pages = [each[1] for each in answers if each is not None and each[0] == _HTTP_OK]
        if not pages:
            return Bounds(is_known=False)
        page = page_of(pages, _AT_ONCE)
        told += page["data"]
        if not page["has_more"]:
            break
        after = page["next"]
    return _bounds(told)


async def bounds_of(view: View, kind: str, name: str) -> Bounds:
    """Return what a key or an owner has left."""
    answers = await view.workers.limits(kind, name)
    told = [each[1] for each in answers if each is not None and each[0] == _HTTP_OK]
    if not told:
        return Bounds(is_known=any(each is not None for each in answers))
    return _bounds([added(told)])


def _bounds(told: list[Mapping[str, Any]]) -> Bounds:
    return Bounds(
        budgets=tuple(
            _budget(each["subject"], period, budget)
            for each in told
            for period, budget in each["budgets"].items()
        ),
        limits=tuple(
            _limit(each["subject"], name, limit)
            for each in told
            for name, limit in each["limits"].items()
        ),
    )


def _budget(subject: str, period: str, told: Mapping[str, Any]) -> Budget:
    resets = datetime.datetime.fromisoformat(told["resets_at"])
    last = resets - datetime.timedelta(seconds=1)
    starts = last.replace(hour=0, minute=0, second=0)
    if period == "month":
        starts = starts.replace(day=1)
    return Budget(
        subject=subject,
        period=period,
        limit_micros=told["limit_micros"],
        spent_micros=told["spent_micros"],
        starts_ms=int(starts.timestamp() * _MS),
        resets_ms=int(resets.timestamp() * _MS),
        is_shadow=told["shadow"],
    )


def _limit(subject: str, name: str, told: Mapping[str, Any]) -> Limit:
    left = told["limit"] - told["in_flight"] if "in_flight" in told else told["remaining"]
    return Limit(subject, name, told["limit"], max(0, left), told["shadow"])
