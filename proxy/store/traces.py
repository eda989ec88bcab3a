"""What traces are made of: requests that have ended, each given to whoever asks first, and to nobody else.

Those that took long are a lane of their own, with an index: to find which have ended, all are looked through that may
have begun so long before, which for the others are few.
"""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from proxy.ledger.row import Row
from proxy.store.bounded import bounded
from proxy.store.engine import tried_again
from proxy.store.tables import META, REQUEST, SLOW_MS

_R = REQUEST.c
_TOOK_MS = sa.func.coalesce(_R.total_ms, 0)
_END_MS = _R.at_ms + _TOOK_MS


class Lane(NamedTuple):
    """Some of the requests.

    Attributes:
        name: of its number in `meta`.
        up_to_ms: how long they took, at the most; what took longer still is in no trace.
        are: which these are.
    """

    name: str
    up_to_ms: int
    are: sa.ColumnElement[bool]


QUICK = Lane("traces_until", SLOW_MS, _TOOK_MS <= SLOW_MS)
SLOW = Lane("traces_slow_until", 86_400_000, _R.total_ms > sa.literal_column(str(SLOW_MS)))


def taken_until(engine: sa.Engine, lane: Lane) -> int | None:
    """Return until when what had ended was taken, in Unix milliseconds; None: nothing ever was."""
    with bounded(engine) as connection:
        query = sa.select(META.c.value).where(META.c.name == lane.name)
        return connection.scalar(query) or None


def ended(
    engine: sa.Engine, lane: Lane, since_ms: int, until_ms: int, most: int
) -> tuple[list[Row], int]:
    """Return requests that ended from a time on and before another, the first first, and until when these are all.

    Args:
        engine: of the store.
        lane: how long they took.
        since_ms: in Unix milliseconds.
        until_ms: likewise.
        most: how many, or a few more when they ended in the same millisecond.
    """
    query = (
        sa.select(REQUEST)
        .where(
            _R.at_ms.between(since_ms - lane.up_to_ms, until_ms - 1),
            _END_MS.between(since_ms, until_ms - 1),
            lane.are,
            _R.key != "",
        )
        .order_by(_END_MS, _R.id)
    )
    with bounded(engine) as connection:
        rows = [Row(*each) for each in connection.execute(query.limit(most + 1))]
        if len(rows) <= most:
            return rows, until_ms
        # Those of the last millisecond may not be all: they are left for the next time, unless there is no other.
        last_ms = _end_of(rows[-1])
        if _end_of(rows[0]) < last_ms:
            return [row for row in rows if _end_of(row) < last_ms], last_ms
        alike = query.where(_END_MS.in_([last_ms]))
        return [Row(*each) for each in connection.execute(alike)], last_ms + 1


def take(engine: sa.Engine, lane: Lane, before_ms: int | None, until_ms: int) -> bool:
    """Have what ended before a time for oneself; return whether nobody else has.

    Args:
        engine: of the store.
        lane: of what.
        before_ms: what `taken_until` has said.
        until_ms: what it says from now on.
    """
    dialect: Any = postgresql if engine.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(META).values(name=lane.name, value=until_ms)
    # Zero stands for nothing.
    claim = insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": until_ms}, where=META.c.value == (before_ms or 0)
    )

    def claimed() -> bool:
        with engine.begin() as connection:
            return connection.execute(claim.returning(META.c.name)).first() is not None

    return tried_again(claimed)


def _end_of(row: Row) -> int:
    return row.at_ms + (row.total_ms or 0)
