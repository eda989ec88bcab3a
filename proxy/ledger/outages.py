"""What keeps rows from the store, told to the operator when it begins and when it is over."""

import logging
import time

from proxy.ledger.spool import Spool
from proxy.notices.events import Event
from proxy.notices.notice import notice

_SAY_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class Outages:
    """Whether the store takes rows, and whether the spool gives them.

    Args:
        spool: where rows wait.

    Attributes:
        down_since_s: `time.time()` when the store failed; None: it works. `reason`: why.
    """

    def __init__(self, spool: Spool) -> None:
        self.down_since_s: float | None = time.time()
        self.reason = "not opened yet"
        self._spool = spool
        self._said_at_s = -_SAY_EVERY_S
        self._to_do = ""  # of a spool that gives no rows

    def store_fails(self, error: Exception) -> None:
        """Take note that the store does not take rows; said once per minute."""
        self.down_since_s = self.down_since_s or time.time()
        self.reason = str(error)
        if time.monotonic() - self._said_at_s >= _SAY_EVERY_S:
            self._said_at_s = time.monotonic()
            _log.error(
                "the store does not take rows: %s; they wait in %s, %d bytes, and requests go on",
                error,
                self._spool.folder,
                self._spool.waiting_bytes,
                extra=notice(Event.STORE_DOWN),
            )

    def store_works(self) -> None:
        """Take note that the store takes rows."""
        if self.down_since_s is None:
            return
        if self._said_at_s > 0:
            _log.warning(
                "the store takes rows again, after %d s",
                time.time() - self.down_since_s,
                extra=notice(Event.STORE_BACK),
            )
        self.down_since_s, self.reason = None, ""
        self._said_at_s = -_SAY_EVERY_S

    def spool_fails(self, error: OSError) -> None:
        """Take note that the spool cannot be read; said once, and again when something else is to be done."""
        to_do = self._spool.way_back or "let the gateway's user read it"
        if to_do == self._to_do:
            return
        self._to_do = to_do
        _log.warning(
            "the ledger's spool %s cannot be read: %s: %s; its rows are stored then, by this process or the next, and"
            " requests go on",
            self._spool.folder,
            error.strerror,
            to_do,
            extra=notice(Event.SPOOL_FAILS, str(self._spool.folder)),
        )

    def spool_works(self) -> None:
        """Take note that the spool was read."""
        if not self._to_do:
            return
        self._to_do = ""
        _log.warning(
            "the ledger's spool %s is read again",
            self._spool.folder,
            extra=notice(Event.SPOOL_BACK, str(self._spool.folder)),
        )
