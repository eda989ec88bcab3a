"""Puts rows into the store, each once, together with the sums of their hours and days."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.engine import reading, tried_again
from proxy.store.inserts import Insert
from proxy.store.tables import DAY_SUMS, REQUEST, USAGE_DAY, USAGE_HOUR

# More in one transaction gain little, and reading them holds the interpreter's lock longer.
MAX_ROWS = 500
_LOOKS = 3
_HOUR_MS = 3_600_000
_HOURS = 24

_Sums = dict[tuple[Any, ...], tuple[int, ...]]
_Counted = dict[tuple[Any, ...], list[tuple[int, ...]]]


class RowStore:
    """Inserts rows."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._requests = Insert(engine, REQUEST)
        self._days = Insert(engine, USAGE_DAY, added=DAY_SUMS)
        self._hours = Insert(engine, USAGE_HOUR, added=DAY_SUMS)

    def put(self, rows: Sequence[Row]) -> int:
        """Store at most `MAX_ROWS` rows in one transaction; return how many were new.

        A row whose id is there is left out, of the sums too: after a crash, rows come twice.

        Raises:
            sqlalchemy.exc.DBAPIError: it is not known whether they were stored; to put them again is safe.
        """
        for _ in range(_LOOKS):
            if not rows or tried_again(functools.partial(self._are_put, rows)):
                return len(rows)
            rows = self._missing(rows)
        raise RuntimeError(
            "rows that were not in the store a moment ago are there, again and again"
        )

    def _are_put(self, rows: Sequence[Row]) -> bool:
        """Store rows that are probably all new, and return whether they were; else nothing is stored."""
        with self._engine.connect() as connection, connection.begin() as transaction:
            # In steady state this is all it takes to know; RETURNING costs eight times as much.
            values = [msgspec.structs.astuple(row) for row in rows]
            if self._requests.execute(connection, values) < len(rows):
                transaction.rollback()
                return False
            hours = _sums_of_hours(rows)
            self._days.execute(connection, _rows_of(_sums_of_days(hours)))
            self._hours.execute(connection, _rows_of(hours))
            return True

    def _missing(self, rows: Sequence[Row]) -> list[Row]:
        by_id = {row.id: row for row in reversed(rows)}  # of two with one id, the first
        with reading(self._engine) as connection:
            there = connection.scalars(sa.select(REQUEST.c.id).where(REQUEST.c.id.in_(by_id)))
            for row_id in there.all():
                del by_id[row_id]
        return list(by_id.values())


def _sums_of_hours(rows: Iterable[Row]) -> _Sums:
    counted: _Counted = {}
    for row in rows:
        whose = row.key, row.owner or "", row.served_model or "", row.upstream or ""
        counted.setdefault((row.at_ms // _HOUR_MS, *whose), []).append(_counts_of(row))
    return _summed(counted)


def _sums_of_days(hours: _Sums) -> _Sums:
    counted: _Counted = {}
    for (hour, *whose), values in hours.items():
        counted.setdefault((hour // _HOURS, *whose), []).append(values)
    return _summed(counted)


def _summed(counted: _Counted) -> _Sums:
    return {group: tuple(map(sum, zip(*each, strict=True))) for group, each in counted.items()}


def _rows_of(sums: _Sums) -> list[tuple[Any, ...]]:
    """Return sums as rows of their table, sorted: two processes that lock them never deadlock."""
    return [(*group, *sums[group]) for group in sorted(sums)]


def _counts_of(row: Row) -> tuple[int, ...]:
    """Return what a row adds to `DAY_SUMS`; what was not reported adds nothing."""
    count, has_cause = row.requests, row.cause is not None
    return (
        count,
        count if has_cause and row.is_refused else 0,
        count if has_cause and row.is_failed else 0,
        count if row.is_estimated else 0,
        row.input_tokens or 0,
        row.output_tokens or 0,
        row.cache_write_5m_tokens or 0,
        row.cache_write_1h_tokens or 0,
        row.cache_read_tokens or 0,
        row.web_searches or 0,
        row.cost_micros,
    )
