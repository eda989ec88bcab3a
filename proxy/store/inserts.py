"""The two inserts that every row goes through, each compiled once, as its engine takes them cheapest.

SQLite takes tuples. PostgreSQL takes a batch as one parameter, an array of JSON arrays: a parameter for each of fifty
columns of each row costs six times as much, on both sides.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

_Values = Sequence[Sequence[Any]]


class Insert:
    """Inserts into a table, in the order of the values.

    Args:
        engine: whose dialect it is.
        table: all columns of which have values.
        added: columns to add to, when a row with that primary key is there; none: such a row is left alone.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, added: Sequence[str] = ()) -> None:
        self._as_json = engine.dialect.name == "postgresql"
        if self._as_json:
            names = table.columns.keys()
            insert: Any = postgresql.insert(table).from_select(names, _from_json(table))
        else:
            insert = sqlite.insert(table)
        key = [column.name for column in table.primary_key]
        if added:
            sums = {name: table.c[name] + insert.excluded[name] for name in added}
            insert = insert.on_conflict_do_update(index_elements=key, set_=sums)
        else:
            insert = insert.on_conflict_do_nothing(index_elements=key)
        compiled = insert.compile(dialect=engine.dialect, column_keys=table.columns.keys())
        if not self._as_json and compiled.positiontup != table.columns.keys():
            raise RuntimeError("the parameters of a compiled insert are not its table's columns")
        self._sql = str(compiled)

    def execute(self, connection: sa.Connection, values: _Values) -> int:
        """Insert tuples of values; return how many rows were inserted or added to."""
        given: Any = [(msgspec.json.encode(values).decode(),)] if self._as_json else values
        options = {"preserve_rowcount": True}
        return connection.exec_driver_sql(self._sql, given, execution_options=options).rowcount


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
