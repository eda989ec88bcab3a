"""The ledger as the event loop sees it: takes a row for each request, and tells how it is."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from proxy.config import Store
from proxy.ledger.folding import Folding
from proxy.ledger.row import Row
from proxy.ledger.spool import Spool, spools
from proxy.ledger.spooler import Spooler
from proxy.ledger.writer import Writer

if TYPE_CHECKING:
    from proxy.store.spent import Spent

_SECOND_S = 1.0
_CLOSE_WITHIN_S = 3.0
_SLOW_S = 5.0
_ROWS_A_TURN = 20


class Status(msgspec.Struct, frozen=True):
    """How the ledger of a process is.

    Attributes:
        store_up: whether the store took the last rows. `down_since_s`: Unix seconds, `reason`: why not.
        restarting: the thread that stores rows has met a defect, and begins again.
        spooled_rows, spooled_bytes: what waits for the store; rows of this process, in memory ones included.
        oldest_ms: when the oldest request came that waits for the store, in Unix milliseconds; None: none does.
        stored_rows: since the start. `lost_rows`: requests whose rows are lost, since the start.
    """

    store_up: bool
    down_since_s: float | None
    reason: str
    restarting: bool
    spooled_rows: int
    spooled_bytes: int
    oldest_ms: int | None
    stored_rows: int
    lost_rows: int


def _nothing() -> list[Row]:
    return []


class Ledger:
    """Keeps rows: list, spool, store. `add` costs the loop about a microsecond, whatever the store does.

    Make it in a running event loop, once per process, after the fork.

    Args:
        store: where.
        on_spent: called in the loop, once, as soon as the store answers: what was spent before this process's first
            row, so that its own counters can be added to it.

    Raises:
        OSError: nothing can be written in `store.state_dir`.
    """

    def __init__(self, store: Store, on_spent: "Callable[[Spent], None] | None" = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._folding = Folding()
        self._in_flight: Callable[[], Iterable[Row]] = _nothing
        self._is_closed = False
        self._spool = Spool(spools(store))
        self._spooler = Spooler(self._spool, store.spool_max_bytes)
        self._on_spent = on_spent
        self._writer = Writer(self._spool, store, self._hand_over, self._spooler.lose)
        self._timer = self._loop.call_later(_SECOND_S, self._each_second)

    def add(self, row: Row) -> None:
        """Take the row of an ended request."""
        if row.cause is None or self._folding.take(row) is not None:
            self._spooler.add(row)

    def snapshot_of(self, in_flight: Callable[[], Iterable[Row]]) -> None:
        """Ask a function once per second for the rows that the requests in flight would leave if the process ended now.

        They are taken some at a time, between other turns of the loop: the function does well to make them as it goes.
        Their `cause` is `gateway_killed`, and their ids those that their own rows will have.
        """
        self._in_flight = in_flight

    def status(self) -> Status:
        """Return how it is."""
        writer, spooler = self._writer, self._spooler
        down_since_s, reason = writer.outages.down_since_s, writer.outages.reason
        began_s = writer.began_s
        if down_since_s is None and began_s is not None and time.time() - began_s > _SLOW_S:
            down_since_s, reason = began_s, "a transaction does not come to its end"
        return Status(
            store_up=down_since_s is None,
            down_since_s=down_since_s,
            reason=reason,
            restarting=writer.is_restarting,
            spooled_rows=spooler.in_memory + self._spool.waiting_rows,
            spooled_bytes=self._spool.waiting_bytes,
            oldest_ms=writer.oldest_ms,
            stored_rows=writer.stored,
            lost_rows=spooler.lost,
        )

    async def close(self, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Store what is left, for so long at most; the rest is on the disk, where the next start finds it."""
        self._timer.cancel()
        self._is_closed = True
        self._flush()
        self._spooler.keep_in_flight([])
        await asyncio.to_thread(self._close_threads, within_s)

    def _close_threads(self, within_s: float) -> None:
        ends_s = self._loop.time() + within_s
        self._spooler.close(within_s)
        self._writer.close(max(0.0, ends_s - self._loop.time()))

    def _each_second(self) -> None:
        self._timer = self._loop.call_later(_SECOND_S, self._each_second)
        self._flush()
        self._take(iter(self._in_flight()), [])

    def _take(self, rows: Iterator[Row], taken: list[Row]) -> None:
        """Take the rows of the requests in flight, some now, the others in the next turns of the loop."""
        some = list(itertools.islice(rows, _ROWS_A_TURN))
        taken += some
        if some:
            self._loop.call_soon(self._take, rows, taken)
        elif not self._is_closed:
            self._spooler.keep_in_flight(taken)

    def _flush(self) -> None:
        for row in self._folding.flush():
            self._spooler.add(row)

    def _hand_over(self, spent: "Spent") -> None:
        """Bring into the loop what the thread has found, unless the loop has ended meanwhile."""
        if self._on_spent is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_spent, spent)
