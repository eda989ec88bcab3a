"""Reading for people who wait: a question that takes too long is ended, lest it holds the store from others."""

import contextlib
import time
from collections.abc import Iterator

import sqlalchemy as sa

from proxy.store.engine import reading

ANSWERED_WITHIN_S = 5.0
# How often SQLite looks at the clock: every so many of its instructions, some tenths of a millisecond.
_INSTRUCTIONS = 20_000


@contextlib.contextmanager
def bounded(engine: sa.Engine, within_s: float = ANSWERED_WITHIN_S) -> Iterator[sa.Connection]:
    """Open a connection for reading whose statements end after so many seconds.

    Raises:
        sqlalchemy.exc.OperationalError: one has.
    """
    with reading(engine) as connection:
        if engine.dialect.name != "sqlite":
            within_ms = int(within_s * 1000)
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {within_ms}")
            yield connection
            return
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("a connection that has none of its driver's")
        ends_s = time.monotonic() + within_s
        driver.set_progress_handler(lambda: time.monotonic() > ends_s, _INSTRUCTIONS)
        try:
            yield connection
        finally:
            # The pool gives it to others.
            driver.set_progress_handler(None, 0)
