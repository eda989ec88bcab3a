"""Which log lines are shown at once, and which are only counted. Pure."""

import dataclasses
from collections.abc import Hashable
from typing import Generic, TypeVar

Line = TypeVar("Line")

WINDOW_S = 10.0


@dataclasses.dataclass(slots=True)
class _Window(Generic[Line]):
    ends: float
    repeated: int = 0
    last: Line | None = None


class Floods(Generic[Line]):
    """Counts the lines of a kind that follow its first one within ten seconds, and keeps the last of them."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window[Line]] = {}

    def is_first(self, kind: Hashable, now: float) -> bool:
        """Return whether a line of this kind is to be shown at once; `count` the others."""
        if kind in self._windows:
            return False
        self._windows[kind] = _Window(now + WINDOW_S)
        return True

    def count(self, kind: Hashable, line: Line) -> None:
        """Count a line that is no first one."""
        window = self._windows[kind]
        window.repeated += 1
        window.last = line

    def due(self, now: float) -> list[tuple[Line, int]]:
        """Return, of each kind whose ten seconds are over, the last line that was counted, and the count."""
        ended = [(kind, window) for kind, window in self._windows.items() if window.ends <= now]
        for kind, window in ended:
            if window.repeated:
                # The flood may go on: what comes next is counted, too.
                self._windows[kind] = _Window(now + WINDOW_S)
            else:
                del self._windows[kind]
        return [(window.last, window.repeated) for _, window in ended if window.last is not None]
