"""Whether a server that answers late, or not at all, is worth a request's waiting."""

import logging

from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)
_FAILURES = 5


class Breaker:
    """Opens after some failures in a row, and is closed again by the first success.

    Each change is one line in the log, whatever happens in between.

    Attributes:
        is_open: whether nobody should wait for the server.
    """

    def __init__(self) -> None:
        self._failures = 0
        self.is_open = False

    def failed(self, error: Exception) -> None:
        """Count a call that failed, or took too long."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self.trip(error)

    def trip(self, error: Exception) -> None:
        """Open at once."""
        if self.is_open:
            return
        self.is_open = True
        _log.error(
            "redis does not answer (%s): keys whose limits or budgets say `fail: closed` are refused, the others "
            "are held to what this process alone counts; asked again every second",
            _describe(error),
            extra=notice(Event.REDIS_DOWN),
        )

    def succeeded(self) -> None:
        """Count a call that was answered."""
        self._failures = 0
        if self.is_open:
            self.is_open = False
            _log.warning(
                "redis answers again: limits and budgets are shared again",
                extra=notice(Event.REDIS_BACK),
            )


def _describe(error: Exception) -> str:
    reason = error.__cause__ or error
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text}" if text else type(reason).__name__
