"""Stores with their tables."""

from proxy.store.engine import open_engine
from proxy.store.migrate import ensure_current


def make_store(url: str) -> None:
    """Make the tables of a store, and let it go."""
    engine = open_engine(url)
    try:
        ensure_current(engine)
    finally:
        engine.dispose()
