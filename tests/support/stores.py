"""Stores with their tables."""

import contextlib

import sqlalchemy as sa

from proxy.config import Store
from proxy.ledger.first_file import file_of, make_file
from proxy.store.engine import open_engine
from proxy.store.migrate import ensure_current
from proxy.store.tables import META, METADATA


def make_file_of(store: Store | None) -> None:
    """Make the file of a store that is in SQLite, if it can be made, as a start does, in silence."""
    if store is not None and (file := file_of(store.url)) is not None:
        with contextlib.suppress(OSError):
            make_file(file)


def make_store(url: str) -> None:
    """Make the tables of a store, and let it go."""
    engine = open_engine(url)
    try:
        ensure_current(engine)
    finally:
        engine.dispose()


def empty_tables(url: str) -> None:
    """Empty the tables of a store, as they are when they are made: faster than to make them."""
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                if table is not META:
                    connection.execute(sa.delete(table))
            connection.execute(sa.update(META).values(value=0))
    finally:
        engine.dispose()
