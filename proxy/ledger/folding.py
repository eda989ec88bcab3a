"""Many refusals alike become one row, so that a client in a loop does not fill the store. Pure."""

from proxy.causes import Cause
from proxy.ledger.row import Row, folded

# Of a key that is off, or has expired, some tell which client still has it: there is no more to learn from the others.
MAX_A_MINUTE, MAX_OF_REFUSED_KEY = 600, 10


class _Alike:
    """What a key was refused for one cause in one minute: how often, and those that have no row yet."""

    __slots__ = ("count", "first", "minute", "waiting")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.count = 0
        self.first: Row | None = None
        self.waiting = 0


class Folding:
    """Counts the refusals of each key, cause and minute; what is beyond 600 shares rows; of a refused key, beyond 10.

    A shared row says what all have in common: not which model or session it was.
    """

    def __init__(self) -> None:
        self._alike: dict[tuple[str, str | None], _Alike] = {}
        self._complete: list[Row] = []

    def take(self, row: Row) -> Row | None:
        """Return the row; None: it is counted, and will be part of one that `flush` returns."""
        if not row.is_refused or row.usage_source != "none":
            return row
        whose, minute = (row.key, row.cause), row.at_ms // 60_000
        alike = self._alike.get(whose)
        if alike is None or alike.minute != minute:
            self._complete += _shared(alike)
            alike = self._alike[whose] = _Alike(minute)
        alike.count += row.requests
        is_of_refused_key = row.cause == Cause.UNAUTHENTICATED
        if alike.count <= (MAX_OF_REFUSED_KEY if is_of_refused_key else MAX_A_MINUTE):
            return row
        alike.first = alike.first or row
        alike.waiting += row.requests
        return None

    def flush(self) -> list[Row]:
        """Return the rows that stand for what was counted since the last time."""
        rows, self._complete = self._complete, []
        for alike in self._alike.values():
            rows += _shared(alike)
        return rows


def _shared(alike: _Alike | None) -> list[Row]:
    if alike is None or alike.first is None:
        return []
    row = folded(alike.first, alike.waiting)
    alike.first, alike.waiting = None, 0
    return [row]
