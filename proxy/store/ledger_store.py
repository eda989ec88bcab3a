"""What the ledger does with the store, and one exception for all that can go wrong there."""

import contextlib
import logging
import subprocess
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from proxy.ledger.row import Row, storable
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.store.engine import open_engine, shown
from proxy.store.migrate import MigrationFailed, ensure_current
from proxy.store.retention import sweep
from proxy.store.rows import MAX_ROWS, RowStore
from proxy.store.spent import Spent, spent

_log = logging.getLogger(__name__)

# The driver or the database does not take the values; the same rows will not be taken later either.
_UNSTORABLE = (sa.exc.DataError, sa.exc.IntegrityError, OverflowError, UnicodeError)


class StoreDown(Exception):
    """The store does not do what it should; the message says why. What was asked for can be asked again."""


class LedgerStore:
    """A store, opened when it is first used.

    Args:
        url: as `engine.open_engine` takes it.

    Raises:
        StoreDown: the URL names none that can be used here.
    """

    max_rows = MAX_ROWS

    def __init__(self, url: str) -> None:
        try:
            with _told():
                self._engine = open_engine(url)
        except (
            ValueError,
            ModuleNotFoundError,
        ) as error:  # no URL of a store; its driver is not installed
            raise StoreDown(_first_line(error)) from error
        self._rows = RowStore(self._engine)

    def ensure_current(self) -> None:
        """Bring it to this version, if it is there. This and all below raise `StoreDown`."""
        with _told():
            is_new = ensure_current(self._engine, is_made=False)
        # Who makes the file of one in SQLite has said so.
        if is_new and self._engine.dialect.name != "sqlite":
            _log.warning(
                "the store was empty, and its tables are made: %s",
                shown(self._engine),
                extra=notice(Event.STORE_MADE),
            )

    def put(self, rows: Sequence[Row]) -> list[Row]:
        """Store rows that are not there yet, and return those that cannot be stored."""
        with _told():
            try:
                self._rows.put(rows)
            except _UNSTORABLE:
                return [row for row in rows if not self._is_put(storable(row))]
        return []

    def spent(self, now_ms: int) -> Spent:
        """Return what each key has spent in the day and the month of a moment."""
        with _told():
            return spent(self._engine, now_ms)

    def sweep(self, now_ms: int, retention_days: int) -> int | None:
        """Delete old rows; return how many; None: it was not our turn."""
        with _told():
            return sweep(self._engine, now_ms, retention_days)

    def close(self) -> None:
        """Let its connections go."""
        self._engine.dispose()

    def _is_put(self, row: Row) -> bool:
        try:
            self._rows.put([row])
        except _UNSTORABLE:
            return False
        return True


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _UNSTORABLE:
        raise
    except sa.exc.DBAPIError as error:
        raise StoreDown(_first_line(error.orig)) from error
    except (sa.exc.SQLAlchemyError, MigrationFailed, OSError, subprocess.TimeoutExpired) as error:
        raise StoreDown(_first_line(error)) from error


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
