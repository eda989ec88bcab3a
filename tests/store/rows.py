"""Rows to store, and what a store holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.engine import open_engine, reading
from proxy.store.tables import REQUEST, USAGE_DAY

DAY_MS = 86_400_000
AT_MS = 20_000 * DAY_MS


def row(number: int, **fields: Any) -> Row:
    """Return a row that was billed, with an id of its own."""
    billed = {"input_tokens": 10, "output_tokens": 2, "cost_micros": 7, "usage_source": "reported"}
    whose = {"key": "laptop", "endpoint": "messages", "served_model": "opus", "upstream": "a"}
    return Row(**{"id": f"{number:028x}", "at_ms": AT_MS + number, **whose, **billed, **fields})


@contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    """Open a store, and let it go."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def stored(engine: sa.Engine) -> list[Row]:
    """Return all rows, by their id."""
    with reading(engine) as connection:
        found = connection.execute(sa.select(REQUEST).order_by(REQUEST.c.id)).all()
    return [Row(*each) for each in found]


def days(engine: sa.Engine) -> list[dict[str, Any]]:
    """Return the sums of all days."""
    with reading(engine) as connection:
        found = connection.execute(sa.select(USAGE_DAY).order_by(*USAGE_DAY.primary_key)).mappings()
        return [dict(each) for each in found]
