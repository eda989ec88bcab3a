"""The first seconds with a store, in which its keys are still to come: whoever brings one of them waits a moment."""

import asyncio
import time

from proxy.access.managed_keys import ManagedKeys

_WITHIN_S = 2.0


class FirstKeys:
    """Whether the store has told its keys for the first time.

    Args:
        managed: takes them over; None: there is no store.

    Attributes:
        settled: set when it has, or has failed to: nobody waits any more.
    """

    def __init__(self, managed: ManagedKeys | None) -> None:
        self.settled = asyncio.Event()
        self._managed = managed
        self._until_s = 0.0

    def begin(self) -> None:
        """Let the time run in which requests wait."""
        self._until_s = time.monotonic() + _WITHIN_S

    def settle(self) -> None:
        """Let nobody wait any more: they are there, or the store has failed."""
        self.settled.set()

    def are_wanted(self, *, has_others: bool) -> bool:
        """Return whether nobody should be sent here before they are there.

        Args:
            has_others: whether there are keys beside them, which a store that does not answer must not hold up.
        """
        if self._managed is None or self._managed.was_asked:
            return False
        return self._are_coming() or not has_others

    async def came(self) -> bool:
        """Wait for them if they are coming; return whether they have come meanwhile."""
        if self._managed is None or not self._are_coming():
            return False
        try:
            async with asyncio.timeout(self._until_s - time.monotonic()):
                await self.settled.wait()
        except TimeoutError:
            self.settled.set()
        return self._managed.was_asked

    def _are_coming(self) -> bool:
        return not self.settled.is_set() and time.monotonic() < self._until_s
