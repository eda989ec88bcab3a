"""Requests that wait for one in flight to end, instead of being refused.

Each key has a line of its own, first come, first served. The keys take turns: with a slot of an owner or of all, the
key that had one last goes behind the others, however many it has waiting. Who comes anew goes behind those who wait.
How long a request may wait is its exchange's deadline, not a matter of the queue.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import msgspec

from proxy.errors import LimitExceeded
from proxy.limits.policy import Policy
from proxy.limits.verdict import Ask, Grant, Metric, Refusal

_MOST_WAITING = 100

Admit = Callable[[Ask], Awaitable[Grant | Refusal]]


class _Line:
    """Those of one key, and what the first of them was refused for last."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.turns: deque[asyncio.Event] = deque()


class Queue:
    """Lets requests in as slots become free.

    Args:
        admit: asks for a slot.
        poll_s: after how long to ask without being told, since other processes have the same slots; 0: never.
    """

    def __init__(self, admit: Admit, poll_s: float = 0) -> None:
        self._admit = admit
        self._poll_s = poll_s
        self._timer: asyncio.TimerHandle | None = None
        # In the order of their turns.
        self._lines: dict[str, _Line] = {}

    def ahead(self, policy: Policy) -> Refusal | None:
        """Return what those wait for whom a new request of a key must not overtake; None: nobody waits for that."""
        if not self._lines:
            return None
        if (own := self._lines.get(policy.key)) is not None:
            return own.refusal
        names = {subject.name for subject in policy.subjects}
        for line in self._lines.values():
            if line.refusal.subject.name in names:
                # What another key has left is nobody else's business.
                return msgspec.structs.replace(line.refusal, readings=None)
        return None

    async def enter(
        self, ask: Ask, refusal: Refusal, waiting: Callable[[], AbstractContextManager[None]]
    ) -> Grant | Refusal:
        """Wait until a request is let in, or is refused for something else, or has waited for too long.

        Args:
            ask: what it would take.
            refusal: for want of a slot.
            waiting: the context to wait in, which ends the wait with `LimitExceeded` when it takes too long.
        """
        key = ask.policy.key
        line = self._lines.setdefault(key, _Line(refusal))
        if len(line.turns) >= _MOST_WAITING:
            return refusal
        turn = asyncio.Event()
        line.turns.append(turn)
        self._poll()
        try:
            with waiting():
                while True:
                    await turn.wait()
                    turn.clear()
                    verdict = await self._admit(ask)
                    if isinstance(verdict, Grant):
                        # The others are first now.
                        self._lines[key] = self._lines.pop(key)
                        return verdict
                    if verdict.metric is not Metric.IN_FLIGHT:
                        return verdict
                    line.refusal = verdict
        except LimitExceeded:
            return line.refusal
        finally:
            line.turns.remove(turn)
            if not line.turns:
                del self._lines[key]
            self.wake()

    def wake(self) -> None:
        """Let the first of each line ask again, in the order of their turns: a slot may be free."""
        for line in self._lines.values():
            line.turns[0].set()

    def _poll(self) -> None:
        if self._poll_s and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._poll_s, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._lines:
            self.wake()
            self._poll()
