"""What was found out about texts that clients send over and over. Pure."""

from collections.abc import Callable
from typing import TypeVar

_MAX_KEPT_CHARS = 100

K = TypeVar("K", bound=str | bytes)
V = TypeVar("V")


class Kept(dict[K, V]):
    """What a function says of a text; of short ones some are kept, so that nobody can fill the memory with them.

    Not `functools.lru_cache`, which takes 60 ns more for each header of each request, and keeps long ones.

    Args:
        find: the function.
        most: how many are kept.
    """

    def __init__(self, find: Callable[[K], V], most: int) -> None:
        super().__init__()
        self._find = find
        self._most = most

    def __missing__(self, text: K) -> V:
        found = self._find(text)
        if len(text) <= _MAX_KEPT_CHARS:
            if len(self) >= self._most:
                self.clear()
            self[text] = found
        return found
