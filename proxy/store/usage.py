"""Who spent what: sums of usage, grouped; and single requests.

Groups by key, owner, model, upstream and day come from the sums of days, which are kept for ever and are few; those by
hour, of whole hours, from sums of hours. Groups by session, agent or cause, and single requests, come from the requests
themselves, which are kept for a while, as sums of hours are.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.bounded import ANSWERED_WITHIN_S, bounded
from proxy.store.scope import Scope, Source, source_of, total, within
from proxy.store.tables import REQUEST

_R = REQUEST.c


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
    keys: Sequence[str] | None = None,
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
        keys: of these alone; None: of all in the scope.
        within_s: how long it may take.

    Raises:
        KeyError: there is no such dimension.
        sqlalchemy.exc.OperationalError: it takes longer.
    """
    with bounded(engine, within_s) as connection:
        source = source_of(connection, by, scope)
        query = _grouped(source, by, scope, dearest_first=dearest_first).limit(limit)
        if after:  # the place in one group of all is none
            dimensions = [source.columns[name] for name in by]
            query = query.where(sa.tuple_(*dimensions) > sa.tuple_(*after))
        if keys is not None:
            query = query.where(source.columns["key"].in_(keys))
        found = connection.execute(query).all()
    rows = [Group(tuple(row[: len(by)]), *row[len(by) :]) for row in found]
    return [row for row in rows if row.requests]  # of nothing, SQL makes a sum


def _grouped(
    source: Source, by: Sequence[str], scope: Scope, *, dearest_first: bool
) -> sa.Select[Any]:
    # Grouped by their names: PostgreSQL does not see that two expressions with parameters are the same.
    names = [f"by_{n}" for n in range(len(by))]
    labelled = [source.columns[name].label(label) for name, label in zip(by, names, strict=True)]
    summed = [total(column).label(name) for name, column in source.sums.items()]
    query = sa.select(*labelled, *summed).where(*within(scope, source))
    order = [*(["cost_micros DESC"] if dearest_first else []), *names]
    return query.group_by(*map(sa.text, names)).order_by(*map(sa.text, order))


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
    query = sa.select(REQUEST).where(*within(scope)).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(_R.at_ms, _R.id) < sa.tuple_(*after))
    with bounded(engine, within_s) as connection:
        return [
            Row(*each) for each in connection.execute(query.order_by(_R.at_ms.desc(), _R.id.desc()))
        ]
