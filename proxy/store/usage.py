"""Who spent what: sums of usage, grouped; and single requests.

Groups by key, owner, model, upstream and day come from the sums of days, which are kept for ever and are few. Groups by
session, agent, cause or hour, and single requests, come from the requests themselves, which are kept for a while.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import BROKEN_BY_UPSTREAM, BROKEN_BY_US, CLIENT_LEFT, LOST, Row
from proxy.store.bounded import ANSWERED_WITHIN_S, bounded
from proxy.store.tables import DAY_DIMENSIONS, DAY_SUMS, REQUEST, USAGE_DAY

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_FAILED = 400  # and above, HTTP says
_R = REQUEST.c
_Columns = dict[str, sa.ColumnElement[Any]]

_OF_DAYS: _Columns = {name: USAGE_DAY.c[name] for name in DAY_DIMENSIONS}
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


class Group(msgspec.Struct, frozen=True):
    """Sums of usage.

    Attributes:
        of: the value of each dimension that was asked for, in that order; '' is "none". `day` and `hour` are counted
            since 1970.
    """

    of: tuple[str | int, ...]
    requests: int
    refused: int
    failed: int
    estimated: int
    input_tokens: int
    output_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    web_searches: int
    cost_micros: int


def usage(
    engine: sa.Engine,
    by: Sequence[str],
    scope: Scope,
    *,
    limit: int,
    after: Sequence[str | int] | None = None,
    dearest_first: bool = False,
    within_s: float = ANSWERED_WITHIN_S,
) -> list[Group]:
    """Return sums, ordered by their dimensions, so that pages stay what they are while usage is recorded.

    Args:
        engine: of the store.
        by: names of `DIMENSIONS`; none: one group of all.
        scope: which requests.
        limit: how many groups at most.
        after: `of` of the last group of the page before; None: from the start.
        dearest_first: order by cost instead; such an order has no further pages.
        within_s: how long it may take.

    Raises:
        KeyError: there is no such dimension.
        sqlalchemy.exc.OperationalError: it takes longer.
    """
    of_days = {*by, *scope.equals} <= set(_OF_DAYS)
    known = _OF_DAYS if of_days else _OF_REQUESTS
    dimensions = [known[name] for name in by]
    # Grouped by their names: PostgreSQL does not see that two expressions with parameters are the same.
    names = [f"by_{n}" for n in range(len(by))]
    labelled = [column.label(name) for column, name in zip(dimensions, names, strict=True)]
    summed = [total(column).label(name) for name, column in sums(of_days=of_days).items()]
    query = sa.select(*labelled, *summed).where(*within(scope, of_days=of_days)).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*dimensions) > sa.tuple_(*after))
    order = [*(["cost_micros DESC"] if dearest_first else []), *names]
    query = query.group_by(*map(sa.text, names)).order_by(*map(sa.text, order))
    with bounded(engine, within_s) as connection:
        found = connection.execute(query).all()
    rows = [Group(tuple(row[: len(by)]), *row[len(by) :]) for row in found]
    return [row for row in rows if row.requests]  # of nothing, SQL makes a sum


def requests(
    engine: sa.Engine,
    scope: Scope,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    within_s: float = ANSWERED_WITHIN_S,
) -> list[Row]:
    """Return single requests, newest first.

    Args:
        engine: of the store.
        scope: which requests.
        limit: how many at most.
        after: `at_ms` and `id` of the last one of the page before; None: from the newest on.
        within_s: as of `usage`.
    """
    query = sa.select(REQUEST).where(*within(scope, of_days=False)).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(_R.at_ms, _R.id) < sa.tuple_(*after))
    with bounded(engine, within_s) as connection:
        return [
            Row(*each) for each in connection.execute(query.order_by(_R.at_ms.desc(), _R.id.desc()))
        ]


def within(scope: Scope, *, of_days: bool = False) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that requests of a scope meet, or sums of days do."""
    known = _OF_DAYS if of_days else _OF_REQUESTS
    # A column that may be null has its index, but not under `coalesce`.
    columns = _OF_DAYS if of_days else _COLUMNS
    conditions = [
        (columns if value else known)[name] == value for name, value in scope.equals.items()
    ]
    when, unit = (USAGE_DAY.c.day, _DAY_MS) if of_days else (_R.at_ms, 1)
    if scope.since_ms is not None:
        conditions.append(when >= scope.since_ms // unit)
    if scope.until_ms is not None:
        conditions.append(when < -(-scope.until_ms // unit))
    return conditions


def sums(*, of_days: bool) -> _Columns:
    """Return what `DAY_SUMS` are the sums of."""
    if of_days:
        return {name: USAGE_DAY.c[name] for name in DAY_SUMS}
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
