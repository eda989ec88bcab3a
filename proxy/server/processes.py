"""The processes of workers: started, heard, found stuck, found ended, replaced."""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxy.config import Config
from proxy.server.heartbeat import FAILED, FORCE_EXIT, RELOAD, ParentLink
from proxy.server.signals import STOP
from proxy.server.slots import Slot

Work = Callable[[Config, ParentLink, Sequence[socket.socket]], None]

_log = logging.getLogger("anyrouter")

_START_WITHIN_S = 60.0
_RESPAWN_AFTER_S = 1.0
_RESPAWN_AT_LAST_S = 30.0
_LOOK_EVERY_S = 1.0


def respawn_pause_s(failures: int) -> float:
    """Return how long after its start a worker is replaced at the earliest, after so many that did not listen."""
    return min(_RESPAWN_AFTER_S * 2.0**failures, _RESPAWN_AT_LAST_S)


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
    status: int = 0
    cause: str = ""

    def hear(self) -> bool:
        """Take what it says; return whether it said anything."""
        try:
            said = self.link.recv(4096)
        except (BlockingIOError, ConnectionError):
            return False
        beats, _, cause = said.partition(FAILED)
        self.listens |= bool(beats)
        self.cause += cause.decode(errors="replace")
        return bool(said)

    def ending(self) -> str:
        """Return how it ended, in one line."""
        ended = f"worker {self.pid} ended with status {self.status}"
        return f"{ended}: {self.cause}" if self.cause else ended


class _Due(NamedTuple):
    """A worker that is to be started, and when."""

    at_s: float
    work: Work
    slot: Slot | None
    failures: int


class Workers:
    """The processes that run.

    Args:
        config: what the first ones serve by.
        count: how many there are to be.
        silent_s: for how long one may be stuck.

    Attributes:
        config: what those serve by that are started from now on.
        running: those that run.
    """

    def __init__(self, config: Config, count: int, silent_s: float) -> None:
        self.config = config
        self._count = count
        self._silent_s = silent_s
        self._due: list[_Due] = []
        self._looked_at = time.monotonic()
        self._slots: set[Slot] = set()
        self.running: list[Worker] = []

    def spawn(self, work: Work, slot: Slot | None, failures: int = 0) -> None:
        """Start a process, after so many that did not come to listen."""
        if slot is not None:
            slot.open()
            self._slots.add(slot)
        link, parent = socket.socketpair()
        # Held until the child has its own handlers: what is meant for it must not run the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        try:
            pid = os.fork()
            if not pid:
                # A worker sees its parent's end by the end of this socket: nobody else may hold the other side.
                for each in (link, *(worker.link for worker in self.running)):
                    each.close()
                # What a slot has queued is for its own workers: nobody else may hold it open.
                for other in self._slots - {slot}:
                    other.close()
                sockets = () if slot is None else slot.sockets
                _run_worker(lambda: work(self.config, ParentLink(parent), sockets))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        parent.close()
        link.setblocking(False)
        now = time.monotonic()
        heard_at = now + _START_WITHIN_S - self._silent_s
        self.running.append(Worker(pid, work, slot, link, now, heard_at, failures))

    def links(self) -> list[socket.socket]:
        """Return where the workers are heard."""
        return [worker.link for worker in self.running]

    def hear(self) -> None:
        """Take the workers' beats."""
        now = time.monotonic()
        # Who did not look for a while, being stopped itself or short of CPU, knows nothing of that time.
        missed = max(now - self._looked_at - _LOOK_EVERY_S, 0)
        self._looked_at = now
        for worker in self.running:
            worker.heard_at += missed
            if worker.hear():
                worker.heard_at = now

    def all_listen(self) -> bool:
        """Return whether all of them do."""
        return len(self.running) == self._count and all(each.listens for each in self.running)

    def kill_stuck(self) -> None:
        """Kill the workers that have not been heard for too long."""
        now = time.monotonic()
        for worker in self.running:
            if now - worker.heard_at >= self._silent_s:
                worker.heard_at = now  # it is dead before that is over
                _log.error(
                    "worker %d has been stuck for %g s; killing it", worker.pid, self._silent_s
                )
                os.kill(worker.pid, signal.SIGKILL)

    def reap(self) -> list[Worker]:
        """Forget the workers that have ended; return them."""
        ended = []
        for worker in list(self.running):
            gone, status = os.waitpid(worker.pid, os.WNOHANG)
            if gone:
                worker.hear()
                worker.link.close()
                worker.status = os.waitstatus_to_exitcode(status)
                self.running.remove(worker)
                ended.append(worker)
        return ended

    def replace(self, ended: Worker) -> None:
        """Have another one started: soon, or later when one after the other does not come to listen."""
        failures = 0 if ended.listens else ended.failures + 1
        pause_s = respawn_pause_s(failures)
        _log.error("%s; starting another", ended.ending())
        if ended.slot is not None:
            ended.slot.worker_died()
        self._due.append(_Due(ended.started + pause_s, ended.work, ended.slot, failures))

    def respawn(self) -> None:
        """Start those that are due."""
        now = time.monotonic()
        due, self._due = self._due, []
        for each in due:
            if each.at_s > now:
                self._due.append(each)
                continue
            try:
                self.spawn(each.work, each.slot, each.failures)
            except OSError as error:  # of memory, processes, files: the others go on
                _log.error("no worker can be started, trying again: %s", error.strerror)
                self._due.append(each._replace(at_s=now + _RESPAWN_AFTER_S))

    def next_spawn_in_s(self) -> float:
        """Return how long nothing is to be done, a second at most."""
        now = time.monotonic()
        return min([_LOOK_EVERY_S, *(max(each.at_s - now, 0) for each in self._due)])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them."""
        for worker in self.running:
            os.kill(worker.pid, number)

    def reload(self, config: Config) -> None:
        """Start workers by another configuration from now on, and have those that run read it."""
        self.config = dataclasses.replace(config, listen=self.config.listen)
        self._say(RELOAD)

    def force_exit(self) -> None:
        """End the workers' drains."""
        self._say(FORCE_EXIT)

    def _say(self, word: bytes) -> None:
        for worker in self.running:
            # It may just have ended, or be stuck: then it is killed in the end.
            with contextlib.suppress(OSError):
                worker.link.send(word)


def _run_worker(work: Callable[[], None]) -> None:
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
