"""From the spool to the store: a thread, the only one of the process that writes rows to the store.

What it does, in this order: migrate the store, store what dead processes have left, tell what has been spent so far,
and then this process's own rows, batch by batch.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from proxy.config import Store
from proxy.ledger.outages import Outages
from proxy.ledger.recovery import dead_spools
from proxy.ledger.row import Row, rows_of
from proxy.ledger.spool import Spool
from proxy.notices.events import Event
from proxy.notices.notice import notice

if TYPE_CHECKING:
    from proxy.store.ledger_store import LedgerStore
    from proxy.store.spent import Spent

_EVERY_S = 0.05
# While rows keep coming: a transaction costs as much as forty rows, so that more of them share one.
_NEXT_AFTER_S = 0.25
_RECOVER_EVERY_S = 30.0
_SWEEP_EVERY_S = 600.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 5.0
_AFTER_DEFECT_S, _DEFECTS_A_MINUTE = 1.0, 3
_log = logging.getLogger(__name__)


class Writer:
    """Empties a spool into a store.

    Args:
        spool: of this process; closed at the end.
        store: where the database is.
        on_spent: called once from the thread, before the first own row is stored, with what was spent so far.
        on_lost: called from the thread with rows that cannot be stored.

    Attributes:
        stored: rows, those that were there already included.
        outages: what keeps rows from the store, if anything does.
        oldest_ms: `at_ms` of the oldest row that waits for the store.
        is_restarting: after a defect.
        began_s: `time.time()` when the transaction under way began; None: none is.
    """

    def __init__(
        self,
        spool: Spool,
        store: Store,
        on_spent: Callable[["Spent"], None],
        on_lost: Callable[[list[Row]], None],
    ) -> None:
        self.stored = 0
        self.outages = Outages(spool)
        self.oldest_ms: int | None = None
        self.is_restarting = False
        self.began_s: float | None = None
        self._spool = spool
        self._config = store
        self._on_spent = on_spent
        self._on_lost = on_lost
        self._has_told_spent = False
        self._recover_s = self._sweep_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._defects: list[float] = []
        self._ending, self._ends_s = threading.Event(), float("inf")
        self._thread = threading.Thread(target=self._run, name="ledger-store", daemon=True)
        self._thread.start()

    def close(self, within_s: float) -> None:
        """Store what is left, for so long at most, and end the thread. Nothing is appended any more."""
        self._ends_s = time.monotonic() + within_s
        self._ending.set()
        self._thread.join(within_s + _EVERY_S)

    def _run(self) -> None:
        # SQLAlchemy is imported here, in the thread, when the port listens already.
        from proxy.store.ledger_store import LedgerStore, StoreDown  # noqa: PLC0415 - see above

        store: LedgerStore | None = None
        while not self._is_over():
            try:
                store = store or LedgerStore(self._config.url)
                self._work(store)
                break
            except StoreDown as error:
                self.outages.store_fails(error)
                self._pause(self._pause_s)
                self._pause_s = min(self._pause_s * 2, _LAST_PAUSE_S)
            except OSError as error:
                self.outages.spool_fails(error)
                self._pause(_AFTER_DEFECT_S)
            except Exception:  # noqa: BLE001 - logged with its traceback; nothing leaves the spool
                _log.exception("a defect of the ledger's writer; it starts again where it was")
                self.is_restarting = True
                self._pause(self._pause_after_defect())
        self._tell_rest()
        self._spool.close()
        if store is not None:
            store.close()

    def _work(self, store: "LedgerStore") -> None:
        """Do everything that there is to do, until the end."""
        store.ensure_current()
        while not self._is_over():
            now_s = time.monotonic()
            if now_s >= self._recover_s:
                self._recover(store)
                self._recover_s = now_s + _RECOVER_EVERY_S
            if not self._has_told_spent:
                self._on_spent(store.spent(time.time_ns() // 1_000_000))
                self._has_told_spent = True
            has_stored = self._store_some(store)
            self.is_restarting, self._pause_s = False, _FIRST_PAUSE_S
            self.outages.store_works()
            if has_stored:
                if self._spool.waiting_rows < store.max_rows:
                    self._ending.wait(_NEXT_AFTER_S)
                continue
            if self._ending.is_set():
                return
            if now_s >= self._sweep_s:
                store.sweep(time.time_ns() // 1_000_000, self._config.retention_days)
                self._sweep_s = now_s + _SWEEP_EVERY_S
            self._ending.wait(_EVERY_S)

    def _store_some(self, store: "LedgerStore") -> bool:
        """Store the oldest rows of the spool; return whether there were any."""
        lines, size = self._spool.read(store.max_rows)
        self.outages.spool_works()
        rows = rows_of(lines)
        self.oldest_ms = rows[0].at_ms if rows else None
        if len(rows) < len(lines):
            _log.error(
                "%d lines of the ledger's spool are unreadable",
                len(lines) - len(rows),
                extra=notice(Event.SPOOL_UNREADABLE),
            )
        self._put(store, rows)
        self._spool.stored(size, len(lines))
        return size > 0

    def _put(self, store: "LedgerStore", rows: list[Row]) -> None:
        self.began_s = time.time()
        try:
            rejected = store.put(rows)
        finally:
            self.began_s = None
        self.stored += len(rows) - len(rejected)
        if rejected:
            self._on_lost(rejected)
            _log.error(
                "%d rows cannot be stored, such as %s",
                len(rejected),
                rejected[0].id,
                extra=notice(Event.ROWS_REFUSED),
            )

    def _recover(self, store: "LedgerStore") -> None:
        """Store what dead processes have left."""
        for dead in dead_spools(self._spool.folder.parent):
            try:
                for rows in self._until_over(dead.batches(store.max_rows)):
                    self._put(store, rows)
                if self._is_over():
                    return
                dead.remove()
            except OSError as error:
                _log.error(
                    "%s cannot be read or removed: %s",
                    dead.folder,
                    error.strerror,
                    extra=notice(Event.SPOOL_UNREADABLE, str(dead.folder)),
                )
                continue
            _log.warning(
                "the ledger has the rows that process %s left; %d torn lines",
                dead.folder.name,
                dead.unreadable,
                extra=notice(Event.ROWS_RECOVERED),
            )

    def _until_over(self, batches: Iterator[list[Row]]) -> Iterator[list[Row]]:
        for rows in batches:
            if self._is_over():
                return
            yield rows

    def _is_over(self) -> bool:
        return self._ending.is_set() and time.monotonic() >= self._ends_s

    def _pause(self, seconds: float) -> None:
        if self._ending.is_set():
            time.sleep(max(0.0, min(seconds, self._ends_s - time.monotonic())))
        else:
            self._ending.wait(seconds)

    def _pause_after_defect(self) -> float:
        """Return how long to wait: a second, and the rest of the minute after the third defect in it."""
        now_s = time.monotonic()
        self._defects = [*(at_s for at_s in self._defects if at_s > now_s - 60), now_s]
        many = len(self._defects) > _DEFECTS_A_MINUTE
        return self._defects[0] + 60 - now_s if many else _AFTER_DEFECT_S

    def _tell_rest(self) -> None:
        if waiting := self._spool.waiting_bytes:
            _log.warning(
                "%d bytes of the ledger's rows are not in the store; the next start finds them in %s",
                waiting,
                self._spool.folder,
                extra=notice(Event.ROWS_WAIT),
            )
