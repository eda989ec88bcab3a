"""What the search for cache breaks reads and writes: requests that have ended, and what was found of them, once."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.bounded import bounded
from proxy.store.engine import tried_again
from proxy.store.inserts import Insert
from proxy.store.scope import REQUESTS, Scope, within
from proxy.store.tables import CACHE_BREAK, CACHE_DAY, CACHE_SUMS, META, REQUEST

_UNTIL = "breaks_until"
# Of each agent: enough to know what was cached, for how long, and what was under way.
_BEFORE = 8
# A request that takes longer than this is not looked at.
_LONGEST_MS = 2 * 3_600_000
_AT_ONCE = 200
_WITHIN_S = 60.0
_HOUR_MS = 3_600_000
_MOST_CROWDS = 5_000
_LOOKED_WITHIN_MS = 300_000  # as is done each minute
_R = REQUEST.c
_B = CACHE_BREAK.c

BreakRow = tuple[str, int, str, int, int, int]
DaySum = tuple[int, str, str, str, str, int, int, int]


def looked_until(engine: sa.Engine) -> int | None:
    """Return until when what had ended has been looked at, in Unix milliseconds; None: there is no request yet.

    Before the first time, that is when the first request came.
    """
    with bounded(engine, _WITHIN_S) as connection:
        until: int | None = connection.scalar(sa.select(META.c.value).where(META.c.name == _UNTIL))
        return until or connection.scalar(sa.select(sa.func.min(_R.at_ms)))


def behind_at(engine: sa.Engine, now_ms: int) -> int | None:
    """Return until when has been looked, where that is minutes ago; None: at all that has ended."""
    looked_ms = looked_until(engine)
    return None if looked_ms is None or looked_ms >= now_ms - _LOOKED_WITHIN_MS else looked_ms


def after_some(engine: sa.Engine, since_ms: int, requests: int) -> int | None:
    """Return when the first request came after so many since a time, in Unix milliseconds; None: there are no more."""
    query = sa.select(_R.at_ms).where(_R.at_ms >= since_ms).order_by(_R.at_ms)
    with bounded(engine, _WITHIN_S) as connection:
        at_ms: int | None = connection.scalar(query.limit(1).offset(requests))
        return at_ms


def ended(engine: sa.Engine, since_ms: int, until_ms: int) -> list[Row]:
    """Return the requests of sessions that ended from a time on and before another."""
    end_ms = _R.at_ms + sa.func.coalesce(_R.total_ms, 0)
    query = sa.select(REQUEST).where(
        _R.at_ms >= since_ms - _LONGEST_MS,
        _R.at_ms < until_ms,
        end_ms >= since_ms,
        end_ms < until_ms,
        _R.session_id.is_not(None),
    )
    with bounded(engine, _WITHIN_S) as connection:
        return [Row(*each) for each in connection.execute(query)]


def with_those_before(engine: sa.Engine, rows: Sequence[Row]) -> list[Row]:
    """Return rows with all since the first of each session's, and each agent's last ones before; in their order."""
    first: dict[str, int] = {}
    for row in rows:
        session = row.session_id or ""
        first[session] = min(row.at_ms, first.get(session, row.at_ms))
    found = {row.id: row for row in rows}
    sessions = sorted(first)
    for start in range(0, len(sessions), _AT_ONCE):
        some = {session: first[session] for session in sessions[start : start + _AT_ONCE]}
        found |= {row.id: row for row in _around(engine, some)}
    return sorted(found.values(), key=lambda row: (row.at_ms, row.id))


def _around(engine: sa.Engine, first: dict[str, int]) -> Iterable[Row]:
    since_ms = sa.case(first, value=_R.session_id, else_=0)
    is_since = _R.at_ms >= since_ms
    number = sa.func.row_number().over(
        # As `ledger.cache_breaks.chain_of`.
        partition_by=(
            _R.session_id,
            _R.agent_id,
            sa.func.coalesce(_R.request_class, _R.model),
            is_since,
        ),
        order_by=(_R.at_ms.desc(), _R.id.desc()),
    )
    within = _R.session_id.in_(list(first)), _R.usage_source != "none"
    numbered = sa.select(REQUEST, number.label("n"), is_since.label("since")).where(*within)
    rows = numbered.subquery()
    names = REQUEST.columns.keys()
    query = sa.select(*(rows.c[name] for name in names)).where(
        sa.or_(rows.c.since, rows.c.n <= _BEFORE)
    )
    with bounded(engine, _WITHIN_S) as connection:
        return [Row(*each) for each in connection.execute(query)]


class Crowd(NamedTuple):
    """How many breaks of one reason there were in an hour, counted since 1970, with one version of a client."""

    reason: str
    hour: int
    client: str | None
    breaks: int


def crowds(engine: sa.Engine, scope: Scope) -> list[Crowd]:
    """Return the breaks of a scope by reason, hour and client, the most first."""
    hour = (_B.at_ms // _HOUR_MS).label("by_hour")
    count = sa.func.count().label("n")
    query = (
        sa.select(_B.reason, hour, _R.client, count)
        .select_from(REQUEST.join(CACHE_BREAK, _B.request_id == _R.id))
        .where(*within(scope, REQUESTS._replace(when=_B.at_ms)))
        .group_by(_B.reason, sa.text("by_hour"), _R.client)
        .order_by(sa.text("n DESC"), _B.reason, sa.text("by_hour"))
        .limit(_MOST_CROWDS)
    )
    with bounded(engine) as connection:
        return [Crowd(*each) for each in connection.execute(query)]


def put(
    engine: sa.Engine,
    since_ms: int,
    until_ms: int,
    *,
    breaks: Sequence[BreakRow],
    sums: Sequence[DaySum],
) -> bool:
    """Store what was found of a time, unless somebody else has; return whether it was stored.

    Args:
        engine: of the store.
        since_ms: where `looked_until` stood.
        until_ms: where it stands then.
        breaks: rows of `cache_break`.
        sums: rows of `cache_day`, which are added to those there are; sorted, so that nobody deadlocks.
    """
    insert = Insert(engine, CACHE_BREAK)
    add = Insert(engine, CACHE_DAY, added=CACHE_SUMS)
    # Zero stands for the time of the first request.
    take = (
        sa.update(META)
        .where(META.c.name == _UNTIL, META.c.value.in_((0, since_ms)))
        .values(value=until_ms)
    )

    def store() -> bool:
        with engine.begin() as connection:
            if connection.execute(take).rowcount != 1:
                return False
            if breaks:
                insert.execute(connection, breaks)
            if sums:
                add.execute(connection, sums)
            return True

    return tried_again(store)
