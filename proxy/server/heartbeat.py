"""A worker's word to its parent that its event loop turns, and the parent's that it is to hurry."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable

BEAT_EVERY_S = 1.0
FORCE_EXIT = b"!"
RELOAD = b"r"
# Before the cause of an end.
FAILED = b"\0"
# The name of a configuration that a worker has taken over.
TAKEN = re.compile(rb"=(\w+);")

_BEAT = b"."
_MAX_CAUSE_BYTES = 2000


class ParentLink:
    """A worker's socket to its parent.

    Up go a byte a second, the first one when the worker listens, the name of each configuration that it takes over, and
    what keeps it from its work. Down come `FORCE_EXIT` and `RELOAD`; and the socket's end, when the parent has died,
    however it did.
    """

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent

    def fail(self, cause: str) -> None:
        """Say why this worker ends: its parent, which hears that of all of them, tells it once."""
        # The parent may be gone.
        with contextlib.suppress(OSError):
            self._parent.send(FAILED + cause.encode(errors="replace")[:_MAX_CAUSE_BYTES])

    def took_over(self, name: str) -> None:
        """Say that this worker serves by another configuration: its parent starts others by it from now on."""
        with contextlib.suppress(OSError):
            self._parent.send(f"={name};".encode())

    def follow(
        self,
        stop: Callable[[], None],
        force_exit: Callable[[], None],
        reload: Callable[[], None],
    ) -> None:
        """Beat from now on, in the running event loop, and obey.

        Args:
            stop: called when the parent is gone.
            force_exit: called when the parent is in a hurry.
            reload: called when the configuration is another. A word that came before this was called counts, too.
        """
        self._parent.setblocking(False)
        loop = asyncio.get_running_loop()

        def receive() -> None:
            word = b""
            try:
                word = self._parent.recv(1)
            except BlockingIOError:
                return  # a poll may tell of what is not there
            except OSError:
                pass  # as good as its end
            if word == RELOAD:
                reload()
            elif word:
                force_exit()
            else:
                loop.remove_reader(self._parent)
                stop()

        def beat() -> None:
            # The parent may be stopped, or gone.
            with contextlib.suppress(OSError):
                self._parent.send(_BEAT)
            loop.call_later(BEAT_EVERY_S, beat)

        loop.add_reader(self._parent, receive)
        beat()
