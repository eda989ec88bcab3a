"""The two inserts that every row goes through, each compiled once, as its engine takes them cheapest.

SQLite takes tuples, without the values that are None: to Python's driver those are the dearest, and half of a row is.
So rows that have the same columns share statements. PostgreSQL takes a batch as one parameter, an array of JSON
arrays: a parameter for each of fifty columns of each row costs six times as much, on both sides.
"""

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

_Values = Sequence[Sequence[Any]]
# Of a kind of request, of how it ended, and of `_AT_ONCE`; more are compiled again and again.
_CACHED_STATEMENTS = 512
# Rows a statement, as far as SQLite takes their values: 32,766 since 2020, 999 before. Between two statements, Python's
# lock changes hands, and the event loop pays for that.
_AT_ONCE = (64, 16, 4, 1)


class Insert:
    """Inserts into a table, in the order of the values.

    Args:
        engine: whose dialect it is.
        table: all columns of which have values.
        added: columns to add to, when a row with that primary key is there; none: such a row is left alone.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, added: Sequence[str] = ()) -> None:
        self._dialect = engine.dialect
        self._names = table.columns.keys()
        self._as_json = engine.dialect.name == "postgresql"
        if self._as_json:
            insert: Any = postgresql.insert(table).from_select(self._names, _from_json(table))
        else:
            insert = sqlite.insert(table)
        key = [column.name for column in table.primary_key]
        if added:
            sums = {name: table.c[name] + insert.excluded[name] for name in added}
            self._insert = insert.on_conflict_do_update(index_elements=key, set_=sums)
        else:
            self._insert = insert.on_conflict_do_nothing(index_elements=key)
        self._sql = functools.lru_cache(_CACHED_STATEMENTS)(self._compiled)

    def execute(self, connection: sa.Connection, values: _Values) -> int:
        """Insert tuples of values; return how many rows were inserted or added to."""
        if self._as_json:
            every = (True,) * len(self._names)
            return _run(connection, self._sql(every), (msgspec.json.encode(values).decode(),))
        alike: dict[tuple[bool, ...], list[Sequence[Any]]] = {}
        for row in values:
            alike.setdefault(tuple([value is not None for value in row]), []).append(row)
        inserted = 0
        most_values = _most_values(connection)
        for given, rows in alike.items():
            for some in _some_at_once(rows, most_values // sum(given)):
                flat = tuple([value for row in some for value in compress(row, given)])
                inserted += _run(connection, self._sql(given, len(some)), flat)
        return inserted

    def _compiled(self, given: tuple[bool, ...], rows: int = 1) -> str:
        """Return the statement for rows that have values in some columns, and nothing in the others."""
        names = list(compress(self._names, given))
        compiled = self._insert.compile(dialect=self._dialect, column_keys=names)
        if self._as_json:
            return str(compiled)
        if compiled.positiontup != names:
            raise RuntimeError("the parameters of a compiled insert are not its table's columns")
        one = f"({', '.join('?' * len(names))})"
        return str(compiled).replace(one, ", ".join([one] * rows), 1)


def _most_values(connection: sa.Connection) -> int:
    """Return how many parameters a statement may have in SQLite, as it was built."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment] # it is SQLite's
    return driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)


def _some_at_once(rows: Sequence[Sequence[Any]], most: int) -> Iterator[Sequence[Sequence[Any]]]:
    start = 0
    for count in _AT_ONCE:
        while count <= most and len(rows) - start >= count:
            yield rows[start : start + count]
            start += count


def _run(connection: sa.Connection, sql: str, values: tuple[Any, ...]) -> int:
    options = {"preserve_rowcount": True}
    return connection.exec_driver_sql(sql, values, execution_options=options).rowcount


def _from_json(table: sa.Table) -> sa.Select[Any]:
    """Select the rows of an array of arrays."""
    given = sa.cast(sa.bindparam("rows", type_=sa.Text), postgresql.JSONB)
    value = sa.column("value", postgresql.JSONB)
    elements = sa.func.jsonb_array_elements(given).table_valued(value, with_ordinality="n")
    rows = elements.render_derived(name="rows")
    texts = [rows.c.value.op("->>")(sa.literal_column(str(n))) for n in range(len(table.c))]
    return sa.select(
        *(
            text if isinstance(column.type, sa.Text) else sa.cast(text, column.type)
            for text, column in zip(texts, table.c, strict=True)
        )
    ).order_by(rows.c.n)
