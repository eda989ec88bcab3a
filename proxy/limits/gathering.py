"""What is to be asked of the server, gathered until the next call."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy.limits.batch import Batch

Add = Callable[[Batch], None]

_KEPT = 10_000
_KEPT_S = 10
# A row is in the ledger no sooner than that after its request has ended, by far.
_FRESH_S = 1


class Operation(NamedTuple):
    """Something to be asked.

    Attributes:
        add: puts it into a batch.
        since_s: `time.monotonic()` when it began to wait.
        late: puts it there when it has waited for so long that the ledger may have told of it; None: it never does.
        read: makes of a reply what is waited for; None: nobody waits.
        answer: who waits; it gets None when there is no reply.
    """

    add: Add
    since_s: float
    late: Add | None = None
    read: Callable[[Any], Any] | None = None
    answer: "asyncio.Future[Any] | None" = None

    def put_into(self, batch: Batch, now_s: float) -> int:
        """Put it into a batch; return the number of its reply."""
        number = len(batch)
        is_old = now_s - self.since_s > _FRESH_S
        add = self.late if is_old and self.late is not None else self.add
        add(batch)
        return number

    def give_up(self) -> None:
        """Tell who waits, if anybody still does, that there is no reply."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(None)


class Gathering:
    """Operations that wait for the next call."""

    def __init__(self) -> None:
        self._waiting: list[Operation] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, add: Add, read: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        """Add something, and return who gets the answer."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(Operation(add, time.monotonic(), None, read, answer))
        return answer

    def put(self, add: Add, late: Add | None = None) -> None:
        """Add something that nobody waits for."""
        self._waiting.append(Operation(add, time.monotonic(), late))

    def take(self, most: int) -> list[Operation]:
        """Return the next, which wait no longer. Who has left asks nothing."""
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return [each for each in taken if each.answer is None or not each.answer.cancelled()]

    def give_up(self) -> None:
        """Tell all who wait that there is no reply; what nobody waits for goes on waiting."""
        for each in self._waiting:
            each.give_up()
        self._waiting = [each for each in self._waiting if each.answer is None]

    def bound(self) -> None:
        """Keep the newest, while there is no server to ask, and nobody waits."""
        if len(self._waiting) > _KEPT:
            del self._waiting[0]

    def forget_old(self) -> None:
        """Drop what nobody needs to know any more: the leases that it speaks of end by themselves."""
        oldest_s = time.monotonic() - _KEPT_S
        self._waiting = [each for each in self._waiting if each.since_s >= oldest_s]
