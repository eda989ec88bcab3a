"""Puts rows into the store, each once, together with the sums of their days."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from proxy.ledger.row import Row
from proxy.store.engine import reading, tried_again
from proxy.store.tables import DAY_DIMENSIONS, DAY_SUMS, REQUEST, USAGE_DAY

# More in one transaction gains nothing, and holds the interpreter's lock longer.
MAX_ROWS = 200
_LOOKS = 3
_Values = list[tuple[Any, ...]]


class RowStore:
    """Inserts rows.

    SQLAlchemy writes the two statements, once; the driver executes them with tuples, for half the CPU.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        new = insert(REQUEST).on_conflict_do_nothing(index_elements=["id"])
        self._insert = _compiled(engine, new, REQUEST)
        day = insert(USAGE_DAY)
        added = {name: USAGE_DAY.c[name] + day.excluded[name] for name in DAY_SUMS}
        upsert = day.on_conflict_do_update(index_elements=list(DAY_DIMENSIONS), set_=added)
        self._upsert = _compiled(engine, upsert, USAGE_DAY)

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
            inserted = _execute(
                connection, self._insert, [msgspec.structs.astuple(r) for r in rows]
            )
            if inserted < len(rows):
                transaction.rollback()
                return False
            _execute(connection, self._upsert, _sums_of_days(rows))
            return True

    def _missing(self, rows: Sequence[Row]) -> list[Row]:
        by_id = {row.id: row for row in reversed(rows)}  # of two with one id, the first
        with reading(self._engine) as connection:
            there = connection.scalars(sa.select(REQUEST.c.id).where(REQUEST.c.id.in_(by_id)))
            for row_id in there.all():
                del by_id[row_id]
        return list(by_id.values())


def _compiled(engine: sa.Engine, statement: sa.Insert, table: sa.Table) -> str:
    compiled = statement.compile(dialect=engine.dialect, column_keys=table.columns.keys())
    if list(getattr(compiled, "positiontup", None) or ()) != table.columns.keys():
        raise RuntimeError("the parameters of a compiled insert are not its table's columns")
    return str(compiled)


def _execute(connection: sa.Connection, statement: str, values: _Values) -> int:
    options = {"preserve_rowcount": True}
    return connection.exec_driver_sql(statement, values, execution_options=options).rowcount


def _sums_of_days(rows: Iterable[Row]) -> _Values:
    """Return the rows of `usage_day` that stand for rows, sorted: two processes that lock them never deadlock."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        group = (row.day, row.key, row.owner or "", row.served_model or "", row.upstream or "")
        total = sums.setdefault(group, [0] * len(DAY_SUMS))
        for n, value in enumerate(_counted(row)):
            total[n] += value
    return [(*group, *sums[group]) for group in sorted(sums)]


def _counted(row: Row) -> tuple[int, ...]:
    """Return what a row adds to `DAY_SUMS`; what was not reported adds nothing."""
    count = row.requests
    return (
        count,
        count if row.is_refused else 0,
        count if row.is_failed else 0,
        count if row.is_estimated else 0,
        row.input_tokens or 0,
        row.output_tokens or 0,
        row.cache_write_5m_tokens or 0,
        row.cache_write_1h_tokens or 0,
        row.cache_read_tokens or 0,
        row.web_searches or 0,
        row.cost_micros,
    )
