"""How much memory the bodies of all requests take together, in one process."""

import asyncio
import collections
import os
from pathlib import Path

from proxy.bounds import LEAST_BODY_MEMORY_BYTES, share_bytes
from proxy.causes import Cause
from proxy.errors import Overloaded, RequestTooLarge

# Smaller bodies need no permit, so they never wait for large ones.
SMALL_BYTES = 1 << 16
_PART_OF_THE_MEMORY = 4
_LONGEST_WAIT_S = 5.0
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def default_bytes() -> int:
    """Return a quarter of the memory that this process and its like may take: the machine's, or its group's limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text("ascii")))
        except (OSError, ValueError):
            continue  # no such group, or no limit
    return min(limits) // _PART_OF_THE_MEMORY


class BodyMemory:
    """A budget of bytes, of which one key has half at the most.

    Args:
        total_bytes: of the process.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = max(total_bytes, LEAST_BODY_MEMORY_BYTES)
        self._held_bytes = 0
        self._held_by_key: dict[str, int] = {}
        self._waiting: collections.deque[tuple[asyncio.Future[None], str, int]] = (
            collections.deque()
        )

    def resize(self, total_bytes: int) -> None:
        """Have another budget from now on; what is held stays held."""
        self._total_bytes = max(total_bytes, LEAST_BODY_MEMORY_BYTES)
        self._grant()

    @property
    def share_bytes(self) -> int:
        """The most that one key may have."""
        return share_bytes(self._total_bytes)

    @property
    def held_bytes(self) -> int:
        """What is taken now."""
        return self._held_bytes

    async def take(self, key: str, wanted_bytes: int) -> "Permit":
        """Wait until a body may be read.

        Args:
            key: whose request it is.
            wanted_bytes: what it will take.

        Raises:
            RequestTooLarge: that is more than a key may ever have.
            Overloaded: there was no room for some seconds.
        """
        self.refuse_if_never(wanted_bytes)
        if not self._waiting and self._fits(key, wanted_bytes):
            self._add(key, wanted_bytes)
            return Permit(self, key, wanted_bytes)
        granted = asyncio.get_running_loop().create_future()
        place = granted, key, wanted_bytes
        self._waiting.append(place)
        self._grant()  # perhaps those who wait do so for their own keys' shares
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await granted
        except (TimeoutError, asyncio.CancelledError) as ended:
            if granted.done() and not granted.cancelled():
                self._add(key, -wanted_bytes)  # granted in the same turn of the loop
            if isinstance(ended, TimeoutError):
                raise _full() from None
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
            self._grant()
        return Permit(self, key, wanted_bytes)

    def change(self, key: str, more_bytes: int) -> None:
        """Take more at once, or give some back when it is negative.

        Raises:
            Overloaded: there is no room for more. Nobody waits who holds some: two could wait for each other.
        """
        if more_bytes > 0 and not self._fits(key, more_bytes):
            raise _full()
        self._add(key, more_bytes)
        if more_bytes < 0:
            self._grant()

    def refuse_if_never(self, total_bytes: int) -> None:
        """Refuse one body that takes so much.

        Raises:
            RequestTooLarge: it is more than a key may ever have.
        """
        if total_bytes > self.share_bytes:
            raise RequestTooLarge(
                f"the body takes more than {self.share_bytes} bytes, which is all that one key's bodies may take of "
                "the gateway's memory (limits.body_memory_bytes)"
            )

    def _fits(self, key: str, more_bytes: int) -> bool:
        return (
            self._held_bytes + more_bytes <= self._total_bytes
            and self._held_by_key.get(key, 0) + more_bytes <= self.share_bytes
        )

    def _add(self, key: str, more_bytes: int) -> None:
        self._held_bytes += more_bytes
        held = self._held_by_key.get(key, 0) + more_bytes
        if held:
            self._held_by_key[key] = held
        else:
            self._held_by_key.pop(key, None)

    def _grant(self) -> None:
        """Let in who waits, in their order; who waits for their own key's share does not keep others out."""
        for place in list(self._waiting):
            granted, key, wanted = place
            if self._held_bytes + wanted > self._total_bytes:
                return
            if granted.done():
                continue
            if self._fits(key, wanted):
                self._waiting.remove(place)
                self._add(key, wanted)
                granted.set_result(None)


class Permit:
    """What one body has taken of the budget."""

    def __init__(self, memory: BodyMemory, key: str, held_bytes: int) -> None:
        self._memory = memory
        self._key = key
        self._held_bytes = held_bytes

    def hold(self, total_bytes: int) -> None:
        """Hold so many bytes from now on.

        Raises:
            RequestTooLarge: that is more than before, and than a key may ever have.
            Overloaded: that is more than before, and there is no room.
        """
        if total_bytes > self._held_bytes:
            self._memory.refuse_if_never(total_bytes)
        self._memory.change(self._key, total_bytes - self._held_bytes)
        self._held_bytes = total_bytes

    def hold_at_least(self, total_bytes: int) -> None:
        """Hold so many bytes, or what is held already, if that is more; as `hold`."""
        if total_bytes > self._held_bytes:
            self.hold(total_bytes)


def _full() -> Overloaded:
    return Overloaded(
        "the gateway holds as many bytes of request bodies as it may; try again", Cause.BODY_MEMORY
    )
