"""What is made once for all who ask alike: models of pages, and what workers tell those."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from proxy.admin.workers import Answer, Workers
from proxy.server.tally import WorkerTold

_T = TypeVar("_T")
_SHARED_S = 1.0
# What takes long is made again after nine times as long: it has a tenth of a core, whoever looks how often.
_TIMES_AS_LONG, _SHARED_AT_MOST_S = 9, 10.0


class _Made(Generic[_T]):
    """A model that is being made, or was; `until_s` is for how long it is shared."""

    def __init__(
        self, make: Coroutine[Any, Any, _T], at_most_s: float, clock: Callable[[], float]
    ) -> None:
        self._at_most_s = at_most_s
        self._clock = clock
        self._began_s = clock()
        self.until_s = self._began_s + _SHARED_S
        self.task = asyncio.create_task(make)
        self.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[_T]) -> None:
        # Its failure is looked at here: it is nobody's defect when all who waited for it have gone.
        if task.cancelled() or task.exception() is not None:
            return
        now_s = self._clock()
        longer_s = min(_TIMES_AS_LONG * (now_s - self._began_s), self._at_most_s)
        self.until_s = max(self.until_s, now_s + longer_s)


class SharedModels(Generic[_T]):
    """Models of the last second, and those that are being made; what takes longer is shared for longer.

    Args:
        at_most_s: for how long, in seconds.
        clock: in seconds.
    """

    def __init__(
        self, at_most_s: float = _SHARED_AT_MOST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_most_s = at_most_s
        self._clock = clock
        self._made: dict[Hashable, _Made[_T]] = {}

    async def get(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return the model of what is asked, which may have been made a while ago; a failure, a second at most."""
        now_s = self._clock()
        for key, made in list(self._made.items()):
            if made.until_s <= now_s and made.task.done():
                del self._made[key]
        if asked not in self._made:
            self._made[asked] = _Made(make(), self._at_most_s, self._clock)
        # Whoever leaves does not take it from the others.
        return await asyncio.shield(self._made[asked].task)


class SharedWorkers:
    """The workers as pages ask them: what all pages ask is asked once a second, however many are open.

    A question takes as much of a worker's event loop as a request.

    Args:
        workers: who are asked.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        # Whoever did not answer for seconds may do so now.
        self._shared: SharedModels[list[Answer | None]] = SharedModels(at_most_s=_SHARED_S)

    async def limits(self, kind: str, name: str) -> list[Answer | None]:
        """Return what each says that a key, an owner or all together have left."""
        return await self._workers.limits(kind, name)

    async def all_limits(self, limit: int, after: str) -> list[Answer | None]:
        """Return each one's page of what all have left that have a limit or a budget."""
        asked = ("all_limits", limit, after)
        return await self._shared.get(asked, lambda: self._workers.all_limits(limit, after))

    async def ledgers(self) -> list[Answer | None]:
        """Return what waits for the store in each."""
        return await self._shared.get("ledgers", self._workers.ledgers)

    async def upstreams(self) -> list[Answer | None]:
        """Return how the upstreams are, as each knows it."""
        return await self._shared.get("upstreams", self._workers.upstreams)

    async def live(self, key: str | None, upstream: str | None, limit: int) -> list[Answer | None]:
        """Return what each has in flight; of a key or an upstream alone, when one is given; so many of them each."""
        return await self._workers.live(key, upstream, limit)

    async def tallies(self) -> list[WorkerTold | None]:
        """Return what each has counted."""
        return await self._workers.tallies()

    async def close(self) -> None:
        """Do nothing: others ask the workers, too."""
