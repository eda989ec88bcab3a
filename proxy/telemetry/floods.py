"""Which log lines are shown at once, and which are only counted. Pure."""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

Line = TypeVar("Line")

WINDOW_S = 10.0
# Clients choose some of what makes a kind, such as the model.
MAX_KINDS = 512
_OTHERS = "the others"


class Folded(NamedTuple, Generic[Line]):
    """What is to be told of a kind's lines.

    Attributes:
        line: the last of them.
        repeated: how many are counted here, and shown nowhere else; 0: the flood is over.
        total: how many there were since its first one, that included.
        first_s: when that came, by the clock of whoever asks.
    """

    line: Line
    repeated: int
    total: int
    first_s: float


@dataclasses.dataclass(slots=True)
class _Window(Generic[Line]):
    """Ten seconds of a kind: `repeated` and `last` are of these, the rest since its first line."""

    ends: float
    first_s: float
    last: Line
    repeated: int = 0
    total: int = 1
    is_flood: bool = False


class Floods(Generic[Line]):
    """Counts the lines of a kind that follow its first one within ten seconds, and keeps the last of them.

    Every line is shown, or counted once. Beyond 512 kinds at a time, all others are one.
    """

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window[Line]] = {}

    def take(self, kind: Hashable, line: Line, now: float) -> bool:
        """Return whether a line of this kind is to be shown at once; else it is counted."""
        window = self._windows.get(kind)
        if window is None and len(self._windows) >= MAX_KINDS:
            kind = _OTHERS
            window = self._windows.get(kind)
        if window is None:
            self._windows[kind] = _Window(now + WINDOW_S, now, line)
            return True
        window.repeated += 1
        window.total += 1
        window.last = line
        return False

    def due(self, now: float) -> list[Folded[Line]]:
        """Return what was counted of each kind whose ten seconds are over, and which floods are over."""
        told = []
        for kind, window in [pair for pair in self._windows.items() if pair[1].ends <= now]:
            if window.repeated:
                told.append(_fold(window))
                # The flood may go on: what comes next is counted, too.
                window.is_flood |= window.repeated > 1
                window.ends, window.repeated = now + WINDOW_S, 0
            else:
                if window.is_flood:
                    told.append(_fold(window))
                del self._windows[kind]
        return told

    def end(self, is_over: Callable[[Hashable], bool]) -> list[Folded[Line]]:
        """Return what was counted of the kinds that are over, and forget them: another line of theirs is news."""
        over = [kind for kind in self._windows if is_over(kind)]
        windows = [self._windows.pop(kind) for kind in over]
        return [_fold(window) for window in windows if window.repeated]


def _fold(window: _Window[Line]) -> Folded[Line]:
    return Folded(window.last, window.repeated, window.total, window.first_s)
