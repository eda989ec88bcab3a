"""From the event loop to the spool: a list, and a thread that empties it onto the disk.

The loop appends a row to a list and nothing else: no encoding, no file, no lock.
"""

import logging
import threading
import time

from proxy.ledger.row import Row, gap, to_lines
from proxy.ledger.spool import Spool
from proxy.notices.events import Event
from proxy.notices.notice import notice

_EVERY_S = 0.05
_SECOND_S = 1.0
_MAX_ROWS_IN_MEMORY = 10_000
# There is room again when so much of the spool is free.
_FREE_AGAIN = 0.1
_SAY_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class Spooler:
    """Writes rows into a spool, and what is in flight whenever that is told.

    Args:
        spool: of this process.
        max_bytes: what it may hold; beyond, rows are counted as lost.

    Attributes:
        lost: requests whose rows are lost.
    """

    def __init__(self, spool: Spool, max_bytes: int) -> None:
        self.lost = 0
        self._spool = spool
        self._max_bytes = max_bytes
        self._rows: list[Row] = []
        self._in_flight: list[Row] = []
        self._is_full = False
        self._lock = threading.Lock()  # of what follows
        self._first_lost: Row | None = None
        self._lost_untold = 0
        self._wrong = ""
        self._said_lost, self._said_at_s = 0, 0.0
        self._closing = threading.Event()
        # Not an executor's: the interpreter would join that at its exit, and hang with a disk that stands still.
        self._thread = threading.Thread(target=self._run, name="ledger-spool", daemon=True)
        self._thread.start()

    @property
    def in_memory(self) -> int:
        """How many rows are not on the disk yet."""
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Take a row."""
        if len(self._rows) < _MAX_ROWS_IN_MEMORY:
            self._rows.append(row)
        else:
            self.lose([row])

    def keep_in_flight(self, rows: list[Row]) -> None:
        """Take the rows that the requests in flight would leave if the process ended now."""
        self._in_flight = rows

    def lose(self, rows: list[Row]) -> None:
        """Count rows as lost."""
        with self._lock:
            self._first_lost = self._first_lost or rows[0]
            requests = sum(row.requests for row in rows)
            self._lost_untold += requests
            self.lost += requests

    def close(self, within_s: float) -> None:
        """Write what is left, and end the thread."""
        self._closing.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        second_s, on_disk = 0.0, self._in_flight
        is_closing = False
        while not is_closing:
            is_closing = self._closing.wait(_EVERY_S)
            try:
                self._write_rows()
                # As soon as it is told: what waits for a second of its own is up to two seconds old.
                if (in_flight := self._in_flight) is not on_disk:
                    self._spool.keep_in_flight(to_lines(in_flight))
                    on_disk = in_flight
                if is_closing or time.monotonic() >= second_s:
                    second_s = time.monotonic() + _SECOND_S
                    self._spool.sync()
                    self._say_well()
            except OSError as error:
                self._say(f"cannot be written: {error.strerror}")
            except Exception:  # noqa: BLE001 - logged with its traceback; the rows stay, and are tried again
                _log.exception("a defect of the ledger's spool")
                time.sleep(_SECOND_S)
        if self._rows:
            self.lose(self._rows)
            self._say("could not be written to the end")

    def _write_rows(self) -> None:
        self._write_waiting()
        with self._lock:
            first, requests = self._first_lost, self._lost_untold
            if first is None or self._is_full:
                return
            self._first_lost, self._lost_untold = None, 0
        # There is room again: a row stands for those that were lost.
        self._rows.append(gap(first, requests))
        self._write_waiting()

    def _write_waiting(self) -> None:
        limit = self._max_bytes * (1 - _FREE_AGAIN) if self._is_full else self._max_bytes
        self._is_full = self._spool.waiting_bytes >= limit
        rows = self._rows[:]
        if not rows:
            return
        if self._is_full:
            self.lose(rows)
            self._say(f"is full ({self._max_bytes} bytes) while the store takes nothing")
        else:
            self._spool.append(to_lines(rows), len(rows))
        del self._rows[: len(rows)]

    def _say(self, what: str) -> None:
        """Log what is wrong, when that is news; while rows are lost, once per minute."""
        now_s = time.monotonic()
        loses = self.lost > self._said_lost and now_s - self._said_at_s >= _SAY_EVERY_S
        what = f"{what}: {self._spool.way_back or 'make room on the disk, or bring the store back'}"
        if what == self._wrong and not loses:
            return
        self._wrong, self._said_lost, self._said_at_s = what, self.lost, now_s
        _log.error(
            "the ledger's spool %s %s; rows that wait in memory: %d, requests whose rows are lost: %d",
            self._spool.folder,
            what,
            len(self._rows),
            self.lost,
            extra=notice(Event.SPOOL_FAILS, str(self._spool.folder)),
        )

    def _say_well(self) -> None:
        if not self._wrong or self._is_full or not self._spool.is_there:
            return
        self._wrong = ""
        _log.warning(
            "the ledger's spool %s is written again; the rows of %d requests are lost",
            self._spool.folder,
            self.lost,
            extra=notice(Event.SPOOL_BACK, str(self._spool.folder)),
        )
