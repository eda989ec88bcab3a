"""Models that are made once for all who ask alike within a second."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_SHARED_S = 1.0


class SharedModels(Generic[_T]):
    """Models of the last second, and those that are being made."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[float, asyncio.Task[_T]]] = {}

    async def get(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return the model of what is asked, made at most a second ago."""
        now_s = time.monotonic()
        for key, (until_s, task) in list(self._made.items()):
            if until_s <= now_s and task.done():
                del self._made[key]
        if asked not in self._made:
            task = asyncio.create_task(make())
            task.add_done_callback(_look_at)
            self._made[asked] = (now_s + _SHARED_S, task)
        # Whoever leaves does not take it from the others.
        return await asyncio.shield(self._made[asked][1])


def _look_at(task: asyncio.Task[Any]) -> None:
    """Let a failure that nobody waits for any more go without a word."""
    if not task.cancelled():
        task.exception()
