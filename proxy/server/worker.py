"""A process of a gateway: what its parent knows of it, and how it begins and ends."""

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence

from proxy.config import Config
from proxy.server.heartbeat import FAILED, TAKEN, ParentLink
from proxy.server.signals import STOP
from proxy.server.slots import Slot

Work = Callable[[Config, ParentLink, Sequence[socket.socket]], None]


@dataclasses.dataclass
class Worker:
    """A process.

    Attributes:
        pid: its id.
        work: what it does.
        slot: what it listens on; None: it sees to that itself.
        link: where it is heard.
        started: when.
        heard_at: when its event loop last turned; before it listens, when it has to at the latest.
        failures: how many before it for the same work ended without ever having listened.
        listens: whether it ever did.
        taken: the names of the configurations that it said to have taken over.
        status: how it ended.
        cause: what it said of its end.
    """

    pid: int
    work: Work
    slot: Slot | None
    link: socket.socket
    started: float
    heard_at: float
    failures: int = 0
    listens: bool = False
    taken: set[str] = dataclasses.field(default_factory=set)
    status: int = 0
    cause: str = ""

    def hear(self) -> bool:
        """Take what it says; return whether it said anything."""
        try:
            said = self.link.recv(4096)
        except (BlockingIOError, ConnectionError):
            return False
        beats, _, cause = said.partition(FAILED)
        self.taken.update(each.decode() for each in TAKEN.findall(beats))
        self.listens |= bool(beats)
        self.cause += cause.decode(errors="replace")
        return bool(said)

    @property
    def name(self) -> str:
        """What the log calls it: only the admin API's process listens by itself."""
        return (
            f"worker {self.pid}" if self.slot is not None else f"the admin API's process {self.pid}"
        )

    def ending(self) -> str:
        """Return how it ended, in one line."""
        ended = f"{self.name} ended with status {self.status}"
        return f"{ended}: {self.cause}" if self.cause else ended


def run_worker(work: Callable[[], None]) -> None:
    """Work, and end the process."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        # Ctrl-C and a closed terminal reach the whole group: the parent alone acts on them, and sends SIGTERM.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        work()
        status = 0
    except Exception:  # noqa: BLE001 - the process ends here, and must say why
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
