"""Opens a store by its URL: SQLite in a file, or PostgreSQL."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

from proxy.ledger.first_file import told_away

_BUSY_S = 5.0
_READ_ONLY = "anyrouter_read_only"
_FILE = "anyrouter_file"
_TRIES = 6
_FIRST_PAUSE_S = 0.02
# libpq's parameters, unless the URL has them: a server that is gone is noticed, not waited for.
_POSTGRES = {"connect_timeout": "5", "tcp_user_timeout": "10000", "application_name": "anyrouter"}
_T = TypeVar("_T")


def open_engine(url: str) -> sa.Engine:
    """Return the engine of a store; nothing is connected yet, and a file that is not there is never made.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        ValueError: the URL is none, or names another kind of database.
        ModuleNotFoundError: PostgreSQL's driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # the latter is of a port
        raise ValueError("store.url: not the URL of a database") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return _sqlite(parsed)
        case "postgresql" | "postgres":
            return _postgres(parsed)
    raise ValueError("store.url: neither sqlite:///FILE nor postgresql://USER:PASSWORD@HOST/NAME")


def reading(engine: sa.Engine) -> sa.Connection:
    """Return a connection for reading: it takes no lock that a writer waits for."""
    return engine.connect().execution_options(**{_READ_ONLY: True})


def sqlite_file(engine: sa.Engine) -> Path | None:
    """Return the file of a store in SQLite; None: it is in PostgreSQL."""
    is_sqlite = engine.dialect.name == "sqlite" and engine.url.database is not None
    return Path(str(engine.url.database)) if is_sqlite else None


def shown(engine: sa.Engine) -> str:
    """Return which store it is, without secrets: a file, or an address; what is behind its `?` may be a password."""
    url = engine.url.set(drivername=engine.dialect.name, query={})
    return str(sqlite_file(engine) or url.render_as_string(hide_password=True))


def tried_again(transaction: Callable[[], _T]) -> _T:
    """Run a transaction, and again when it was chosen to end a deadlock, or did not get a lock.

    Raises:
        sqlalchemy.exc.DBAPIError: it failed otherwise, or six times.
    """
    for attempt in range(_TRIES - 1):
        try:
            return transaction()
        except sa.exc.DBAPIError as error:
            if not _is_transient(error):
                raise
        time.sleep(_FIRST_PAUSE_S * 2**attempt)
    return transaction()


def _is_transient(error: sa.exc.DBAPIError) -> bool:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(cause, "sqlstate", None) in ("40P01", "40001")


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S, "isolation_level": None})
    file = Path(str(url.database))

    @event.listens_for(engine, "do_connect")
    def _never_make(_: sa.Dialect, __: Any, args: list[Any], named: dict[str, Any]) -> None:
        if not file.exists():
            raise sqlite3.OperationalError(told_away(file, "anyrouter store migrate --new"))
        args[:1] = [f"{file.absolute().as_uri()}?mode=rw"]
        named["uri"] = True

    @event.listens_for(engine, "checkout")
    def _is_still_there(_: DBAPIConnection, record: ConnectionPoolEntry, __: Any) -> None:
        # A connection goes on reading a file that was moved away, also when another is in its place.
        if record.info.get(_FILE) != _identity(file):
            raise sa.exc.DisconnectionError

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = _identity(file)
        cursor = connection.cursor()
        if _pragma(cursor, "page_count") == 0:
            # Before the first table, or not at all: later only VACUUM changes it.
            cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # To set what is set would wait for whoever writes.
        if _pragma(cursor, "journal_mode") != "wal":
            cursor.execute("PRAGMA journal_mode = WAL")
        # With NORMAL, a power loss takes commits whose rows have left the spool.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes then fails at once when another has written, whatever the timeout.
        reads = connection.get_execution_options().get(_READ_ONLY)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _pragma(cursor: DBAPICursor, name: str) -> Any:
    cursor.execute(f"PRAGMA {name}")
    return (cursor.fetchone() or (None,))[0]


def _postgres(url: sa.URL) -> sa.Engine:
    given = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Without prepared statements any pooler in between will do.
        connect_args={**given, "prepare_threshold": None},
        paramstyle="format",
    )
