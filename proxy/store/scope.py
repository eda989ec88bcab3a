"""Which requests are meant, and where sums of them come from: sums of days or hours, or the requests themselves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import BROKEN_BY_UPSTREAM, BROKEN_BY_US, CLIENT_LEFT, LOST
from proxy.store.tables import DAY_DIMENSIONS, DAY_SUMS, META, REQUEST, USAGE_DAY, USAGE_HOUR

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_FAILED = 400  # and above, HTTP says
_R = REQUEST.c
_Columns = dict[str, sa.ColumnElement[Any]]

_OF_DAYS: _Columns = {name: USAGE_DAY.c[name] for name in DAY_DIMENSIONS}
_OF_HOURS: _Columns = {
    "day": USAGE_HOUR.c.hour // (_DAY_MS // _HOUR_MS),
    "hour": USAGE_HOUR.c.hour,
    **{name: USAGE_HOUR.c[name] for name in DAY_DIMENSIONS[1:]},
}
_OF_REQUESTS: _Columns = {
    "day": _R.at_ms // _DAY_MS,
    "hour": _R.at_ms // _HOUR_MS,
    "key": _R.key,
    "owner": sa.func.coalesce(_R.owner, ""),
    "model": sa.func.coalesce(_R.served_model, ""),
    "upstream": sa.func.coalesce(_R.upstream, ""),
    "session": sa.func.coalesce(_R.session_id, ""),
    "agent": sa.func.coalesce(_R.agent_id, ""),
    "cause": sa.func.coalesce(_R.cause, ""),
    "tag": sa.func.coalesce(_R.tag, ""),
    "request_class": sa.func.coalesce(_R.request_class, ""),
    "agent_type": sa.func.coalesce(_R.agent_type, ""),
    "client": sa.func.coalesce(_R.client, ""),
}
_NAMES = {"model": "served_model", "session": "session_id", "agent": "agent_id"}
_COLUMNS: _Columns = {
    name: _R[_NAMES.get(name, name)] for name in _OF_REQUESTS if name not in ("day", "hour")
}
# What usage can be grouped by, and filtered by but for `day` and `hour`.
DIMENSIONS = tuple(_OF_REQUESTS)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests are meant.

    Attributes:
        since_ms, until_ms: from when on, and before when, in Unix milliseconds; None: no bound. Sums of days know only
            whole UTC days: those that the time touches.
        key, owner, model, …: exactly this one; '' is "none"; None: any.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    key: str | None = None
    owner: str | None = None
    model: str | None = None
    upstream: str | None = None
    session: str | None = None
    agent: str | None = None
    cause: str | None = None
    tag: str | None = None
    request_class: str | None = None
    agent_type: str | None = None
    client: str | None = None

    @property
    def equals(self) -> dict[str, str]:
        """What is asked for by dimension."""
        named = {name: getattr(self, name) for name in DIMENSIONS if name not in ("day", "hour")}
        return {name: value for name, value in named.items() if value is not None}


class Source(NamedTuple):
    """Where sums come from: a table's dimensions, its time in units of so many milliseconds, what it counts."""

    columns: _Columns
    equals: _Columns
    when: sa.ColumnElement[Any]
    unit_ms: int
    sums: _Columns


def source_of(connection: sa.Connection, by: Sequence[str], scope: Scope) -> Source:
    """Return where sums by these dimensions come from: of the least there is to read.

    Raises:
        KeyError: there is no such dimension.
    """
    names = {*by, *scope.equals}
    if names <= set(_OF_DAYS):
        return DAYS
    if names <= set(_OF_HOURS) and _is_of_hours(scope):
        whole_from = sa.select(META.c.value).where(META.c.name == "hours_from")
        hour: int | None = connection.scalar(whole_from)
        if hour is not None and hour * _HOUR_MS <= (scope.since_ms or 0):
            return _HOURS
    if unknown := names - set(_OF_REQUESTS):
        raise KeyError(*unknown)
    return REQUESTS


def _is_of_hours(scope: Scope) -> bool:
    return not any(at_ms % _HOUR_MS for at_ms in (scope.since_ms, scope.until_ms) if at_ms)


def within(scope: Scope, source: "Source | None" = None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that what is in a scope meets: requests, or rows of another source of sums."""
    source = REQUESTS if source is None else source
    # A column that may be null has its index, but not under `coalesce`.
    conditions = [
        (source.equals if value else source.columns)[name] == value
        for name, value in scope.equals.items()
    ]
    if scope.since_ms is not None:
        conditions.append(source.when >= scope.since_ms // source.unit_ms)
    if scope.until_ms is not None:
        conditions.append(source.when < -(-scope.until_ms // source.unit_ms))
    return conditions


def _counted() -> _Columns:
    """Return what requests add to `DAY_SUMS`."""
    ended_badly = sa.and_(_R.cause.is_not(None), _R.cause.not_in((*CLIENT_LEFT, LOST)))
    by_upstream = _R.cause.startswith(BROKEN_BY_UPSTREAM, autoescape=True)
    has_begun = sa.func.coalesce(_R.status, _FAILED) < _FAILED
    is_failed = sa.or_(has_begun, _R.cause.in_(BROKEN_BY_US), by_upstream)
    counted: _Columns = {
        "requests": _R.requests,
        "refused": _if(sa.and_(ended_badly, sa.not_(is_failed))),
        "failed": _if(sa.and_(ended_badly, is_failed)),
        "estimated": _if(_R.usage_source.in_(("partial", "estimated"))),
    }
    return counted | {name: _R[name] for name in DAY_SUMS if name not in counted}


def _if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.case((condition, _R.requests), else_=0)


def total(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a sum as an integer."""
    # PostgreSQL's sums of integers are decimals; the sum of nothing is null.
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


def _sums(table: sa.Table) -> _Columns:
    return {name: table.c[name] for name in DAY_SUMS}


DAYS = Source(_OF_DAYS, _OF_DAYS, USAGE_DAY.c.day, _DAY_MS, _sums(USAGE_DAY))
_HOURS = Source(_OF_HOURS, _OF_HOURS, USAGE_HOUR.c.hour, _HOUR_MS, _sums(USAGE_HOUR))
REQUESTS = Source(_OF_REQUESTS, _COLUMNS, _R.at_ms, 1, _counted())
