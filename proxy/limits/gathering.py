"""What is to be asked of the server, gathered until the next call.

Whoever waits for an answer goes first, with what was settled, in the order they came. Leases are renewed, and budgets
raised to what the ledger knows, for thousands of keys at a time: those ride along, a few in each call. There they are
kept by their names, so that a slow server has no second round of them before the first is done.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from proxy.limits.batch import Batch

Add = Callable[[Batch], None]

_KEPT = 10_000
_KEPT_S = 10
# Of what rides along, in a call that somebody waits for.
_RIDERS = 32


class Operation(NamedTuple):
    """Something to be asked.

    Attributes:
        add: puts it into a batch.
        since_s: `time.monotonic()` when it began to wait.
        read: makes of a reply what is waited for; None: nobody waits.
        answer: who waits; it gets None when there is no reply.
        lost: called when it was not sent, or what was sent has no reply; None: nobody needs to know.
    """

    add: Add
    since_s: float
    read: Callable[[Any], Any] | None = None
    answer: "asyncio.Future[Any] | None" = None
    lost: Callable[[], None] | None = None

    def put_into(self, batch: Batch) -> int:
        """Put it into a batch; return the number of its reply."""
        number = len(batch)
        self.add(batch)
        return number

    def result(self, replies: Sequence[Any], number: int) -> Any:
        """Return what its reply means; None when nobody waits for it."""
        return None if self.read is None else self.read(replies[number])

    def give_up(self) -> None:
        """Tell who waits, if anybody still does, and who needs to know, that there is no reply."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(None)
        if self.lost is not None:
            self.lost()


class Gathering:
    """Operations that wait for the next call."""

    def __init__(self) -> None:
        self._waiting: list[Operation] = []
        self._renewals: dict[str, Operation] = {}
        self._raises: dict[tuple[str, str], Operation] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._renewals) + len(self._raises)

    def ask(self, add: Add, read: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        """Add something, and return who gets the answer."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(Operation(add, time.monotonic(), read, answer))
        return answer

    def put(self, add: Add, lost: Callable[[], None] | None = None) -> None:
        """Add something that nobody waits for; `lost` is called when it may never have come to the server."""
        self._waiting.append(Operation(add, time.monotonic(), lost=lost))

    def renew(self, lease: str, add: Add) -> None:
        """Add what renews a lease; it rides along, but in every call."""
        self._renewals[lease] = Operation(add, time.monotonic())

    def raise_spent(self, name: str, period: str, add: Add) -> None:
        """Add what raises a subject's budget of a period; it rides along.

        While settlements wait it does too: the ledger may know of them already, and would have to tell of them again.
        """
        self._raises[name, period] = Operation(add, time.monotonic())

    def take(self, most: int) -> list[Operation]:
        """Return the next, which wait no longer. Who has left asks nothing."""
        riders = _RIDERS if self._waiting else most
        first = most - min(riders, len(self._renewals))
        taken, self._waiting = self._waiting[:first], self._waiting[first:]
        asked = [each for each in taken if each.answer is None or not each.answer.cancelled()]
        renewals = _first(self._renewals, riders)
        room = min(riders - len(renewals), most - len(asked) - len(renewals))
        return asked + renewals + (_first(self._raises, room) if not self._waiting else [])

    def give_up(self) -> None:
        """Tell all who wait that there is no reply; what nobody waits for goes on waiting."""
        for each in self._waiting:
            if each.answer is not None:
                each.give_up()
        self._waiting = [each for each in self._waiting if each.answer is None]

    def bound(self) -> None:
        """Keep the newest, while there is no server to ask, and nobody waits."""
        if len(self._waiting) > _KEPT:
            self._waiting.pop(0).give_up()

    def forget_old(self) -> None:
        """Drop what nobody needs to know any more: the leases that it speaks of end by themselves."""
        oldest_s = time.monotonic() - _KEPT_S
        waiting = self._waiting
        self._waiting = [each for each in waiting if each.since_s >= oldest_s]
        for each in waiting:
            if each.since_s < oldest_s:
                each.give_up()

    def forget_riders(self) -> None:
        """Drop what rides along: leases that are old by now, sums that are told anew."""
        self._renewals.clear()
        self._raises.clear()


def _first(riders: dict[Any, Operation], most: int) -> list[Operation]:
    """Take the first of some riders out."""
    return [riders.pop(name) for name in list(itertools.islice(riders, most))]
