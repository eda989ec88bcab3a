"""Whether a client takes nothing of what waits for it, whoever has written it."""

import array
import asyncio
import fcntl
import termios

# An exchange has a clock of its own for its client, and knows the cause: it goes first.
_MAX_AFTER_THE_EXCHANGE_S = 2.0


class Unread:
    """Looks now and then at how much waits for a client.

    Args:
        idle_s: how long the client may take none of it.
    """

    def __init__(self, idle_s: float) -> None:
        self._bound_s = idle_s + min(idle_s / 10, _MAX_AFTER_THE_EXCHANGE_S)
        self._bytes = 0
        self._since = 0.0

    def too_long(self, waiting_bytes: int, now: float) -> bool:
        """Return whether nothing was taken for too long. More that is written is no sign of the client's life."""
        if not waiting_bytes or not self._bytes or waiting_bytes < self._bytes:
            self._since = now
        self._bytes = waiting_bytes
        return now - self._since >= self._bound_s


def waiting_bytes(transport: asyncio.Transport, *, hides: bool = False) -> int:
    """Return how much waits for the client: here and, if anything does, in the kernel.

    The kernel takes no more of it before the client has read a third of the megabytes that it holds.

    Args:
        transport: of the client.
        hides: whether what waits here may be in another transport below this one: then the kernel alone tells.
    """
    here = transport.get_write_buffer_size()
    if not (here or hides):
        return 0
    unsent = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, unsent)
    except (OSError, ValueError):
        return here  # closed, or another kernel
    return here + unsent[0]
