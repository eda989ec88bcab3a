"""Deletes rows, and sums of hours, that are older than they are to be kept. Sums of days stay for ever."""

import logging
import sqlite3
from typing import Any

import sqlalchemy as sa

from proxy.store.engine import sqlite_file, tried_again
from proxy.store.tables import CACHE_BREAK, META, REQUEST, USAGE_HOUR

_EVERY_MS = _HOUR_MS = 3_600_000
_AT_ONCE = 5_000
_PAGES_AT_ONCE = 1_000
_log = logging.getLogger(__name__)


def sweep(engine: sa.Engine, now_ms: int, retention_days: int) -> int | None:
    """Delete the old rows in batches, once an hour whoever asks first; return how many; None: it was not our turn.

    Raises:
        sqlalchemy.exc.DBAPIError: the store failed; what was deleted is.
    """
    if not tried_again(lambda: _is_our_turn(engine, now_ms)):
        return None
    before_ms = now_ms - retention_days * 86_400_000
    deleted = 0
    while batch := tried_again(lambda: _delete_some(engine, before_ms)):
        deleted += batch
    with engine.begin() as connection:
        # Few. Alerts that were sent are forgotten by `alerts.settle`: a month's may be older than any row.
        connection.execute(sa.delete(CACHE_BREAK).where(CACHE_BREAK.c.at_ms < before_ms))
        connection.execute(sa.delete(USAGE_HOUR).where(USAGE_HOUR.c.hour < before_ms // _HOUR_MS))
    if sqlite_file(engine) is not None:
        _give_back(engine)
    return deleted


def _is_our_turn(engine: sa.Engine, now_ms: int) -> bool:
    """Take the hour's turn. A clock that is hours ahead of the others' must not keep all from sweeping."""
    due = sa.or_(META.c.value <= now_ms, META.c.value > now_ms + 2 * _EVERY_MS)
    take = sa.update(META).where(META.c.name == "sweeper", due).values(value=now_ms + _EVERY_MS)
    with engine.begin() as connection:
        return connection.execute(take).rowcount == 1


def _delete_some(engine: sa.Engine, before_ms: int) -> int:
    old = sa.select(REQUEST.c.id).where(REQUEST.c.at_ms < before_ms).limit(_AT_ONCE)
    with engine.begin() as connection:
        return connection.execute(sa.delete(REQUEST).where(REQUEST.c.id.in_(old))).rowcount


def _give_back(engine: sa.Engine) -> None:
    """Give SQLite's free pages back to the file system, some at a time: writers of other processes wait meanwhile.

    When those leave no room for it, the next hour will.
    """
    connection = engine.raw_connection()
    try:
        cursor: Any = connection.cursor()
        cursor.execute("PRAGMA freelist_count")
        (pages,) = cursor.fetchone() or (0,)
        for _ in range(0, pages, _PAGES_AT_ONCE):
            # `execute` takes one step of it, which is one page, and a script all.
            cursor.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
    except sqlite3.OperationalError as error:
        _log.info("SQLite's free pages stay in its file for now: %s", error)
    finally:
        connection.close()
