"""Follows the store's keys and owners: a thread asks once per second what has changed, the event loop takes it over."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.access.records import Changes
from proxy.notices.events import Event
from proxy.notices.notice import notice

if TYPE_CHECKING:
    import sqlalchemy as sa

    from proxy.store.spent import Spent

_log = logging.getLogger(__name__)

_EVERY_S = 1.0
_UNTIL_MIGRATED_S = 0.1
_SUMS_EVERY_S = 60.0


class Follower:
    """Asks the store what has changed, for as long as it is open.

    Args:
        url: of the store.
        apply: is given what has changed, in the event loop, after every answer; when something has, or a minute has
            passed, with what was spent, else with None.
        failed: called in the event loop when the store begins not to answer.
    """

    def __init__(
        self,
        url: str,
        apply: "Callable[[Changes, Spent | None], None]",
        failed: Callable[[], None],
    ) -> None:
        self._url = url
        self._apply = apply
        self._failed = failed
        self._stop = threading.Event()
        self._sums_wanted = threading.Event()
        # Of the last change that the event loop has taken over.
        self._seq = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Begin; the first answer comes when the store can be asked."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="follow-keys", daemon=True)
        self._thread.start()

    def ask_for_sums(self) -> None:
        """Have what was spent told with the next answer."""
        self._sums_wanted.set()

    def ask_for_all(self) -> None:
        """Have every key and owner told anew, and what was spent."""
        self._seq = 0
        self._sums_wanted.set()

    async def close(self) -> None:
        """End; a store that does not answer is not waited for."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _EVERY_S)

    def _run(self) -> None:
        # Only here: without a store, none of it is imported, and its import holds nobody's start.
        import sqlalchemy as sa  # noqa: PLC0415 - imported by who needs it alone

        from proxy.store.engine import open_engine, reading  # noqa: PLC0415 - imported by who needs it alone
        from proxy.store.migrate import MigrationFailed, is_current  # noqa: PLC0415 - imported by who needs it alone
        from proxy.store.spent import spent  # noqa: PLC0415 - imported by who needs it alone

        engine = open_engine(self._url)
        failing, migrated = False, False
        wait_s, sums_at_s = 0.0, 0.0
        while not self._stop.wait(wait_s):
            wait_s = _EVERY_S
            try:
                if not (migrated := migrated or is_current(engine)):
                    wait_s = _UNTIL_MIGRATED_S
                    continue
                with reading(engine) as connection:
                    changes = _changes(connection, self._seq)
                sums = None
                is_time = time.monotonic() - sums_at_s >= _SUMS_EVERY_S
                if changes.seq != self._seq or is_time or self._sums_wanted.is_set():
                    self._sums_wanted.clear()
                    sums = spent(engine, time.time_ns() // 1_000_000)
                    sums_at_s = time.monotonic()
            except (sa.exc.SQLAlchemyError, MigrationFailed, OSError) as error:
                if not failing:
                    _log.error(
                        "the store of the keys does not answer: known keys go on, unknown ones get a 503 until it"
                        " does: %s",
                        _first_line(error),
                        extra=notice(Event.KEYS_NOT_FOLLOWED),
                    )
                failing = True
                if not self._hand_over(self._failed):
                    break
                continue
            except Exception:  # noqa: BLE001 - a defect, logged: what it says of keys must go on being followed
                _log.exception("the keys of the store cannot be read: a defect")
                continue
            if failing:
                _log.warning("the store of the keys answers again", extra=notice(Event.KEYS_BACK))
            failing = False
            if not self._hand_over(functools.partial(self._take, changes, sums)):
                break
        engine.dispose()

    def _hand_over(self, call: Callable[[], None]) -> bool:
        """Return whether the event loop could be told; it ends before this thread, when the process does."""
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True

    def _take(self, changes: Changes, sums: "Spent | None") -> None:
        """Hand over in the event loop; what could not be taken is asked for again."""
        self._apply(changes, sums)
        self._seq = changes.seq


def _changes(connection: "sa.Connection", seq: int) -> Changes:
    """Return what has changed since a number; all there is, and a word about it, when the store never came so far."""
    from proxy.store.changes import since  # noqa: PLC0415 - as in `_run`

    changes = since(connection, seq)
    if changes.seq >= seq:
        return changes
    _log.warning(
        "the store is another one than before, or an older state of it: its keys and owners count from now on, and "
        "those that only the one before had until the gateway is started again",
        extra=notice(Event.STORE_REPLACED),
    )
    return since(connection, 0)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
