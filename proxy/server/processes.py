"""The processes of workers: started, heard, found stuck, found ended, replaced."""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import time
from typing import NamedTuple

from proxy.config import Config
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.server.heartbeat import FORCE_EXIT, RELOAD, ParentLink
from proxy.server.signals import STOP
from proxy.server.slots import Slot
from proxy.server.worker import Work, Worker, run_worker

_log = logging.getLogger("anyrouter")

_START_WITHIN_S = 60.0
_RESPAWN_AFTER_S = 1.0
_RESPAWN_AT_LAST_S = 30.0
_LOOK_EVERY_S = 1.0


def respawn_pause_s(failures: int) -> float:
    """Return how long after its start a worker is replaced at the earliest, after so many that did not listen."""
    return min(_RESPAWN_AFTER_S * 2.0**failures, _RESPAWN_AT_LAST_S)


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
        self._is_tried = False
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
                run_worker(lambda: work(self.config, ParentLink(parent), sockets))
        except OSError:
            link.close()
            parent.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        parent.close()
        link.setblocking(False)
        if self._is_tried:
            with contextlib.suppress(OSError):  # it may have ended
                link.send(RELOAD)
        now = time.monotonic()
        heard_at = now + _START_WITHIN_S - self._silent_s
        self.running.append(Worker(pid, work, slot, link, now, heard_at, failures))

    def links(self) -> list[socket.socket]:
        """Return where the workers are heard."""
        return [worker.link for worker in self.running]

    def hear(self) -> set[str]:
        """Take the workers' beats; return the names of the configurations that they have taken over meanwhile."""
        taken: set[str] = set()
        now = time.monotonic()
        # Who did not look for a while, being stopped itself or short of CPU, knows nothing of that time.
        missed = max(now - self._looked_at - _LOOK_EVERY_S, 0)
        self._looked_at = now
        for worker in self.running:
            worker.heard_at += missed
            if worker.hear():
                worker.heard_at = now
            taken |= worker.taken
            worker.taken.clear()
        return taken

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
                    "%s has been stuck for %g s; killing it",
                    worker.name,
                    self._silent_s,
                    extra=notice(Event.WORKER_STUCK),
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
        _log.error("%s; starting another", ended.ending(), extra=notice(Event.WORKER_ENDED))
        if ended.slot is not None:
            ended.slot.worker_lost(had_listened=ended.listens)
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
                _log.error(
                    "no worker can be started, trying again: %s",
                    error.strerror,
                    extra=notice(Event.WORKER_NOT_STARTED),
                )
                if each.slot is not None:
                    each.slot.worker_lost(had_listened=not each.failures)
                self._due.append(each._replace(at_s=now + _RESPAWN_AFTER_S))

    def next_spawn_in_s(self) -> float:
        """Return how long nothing is to be done, a second at most."""
        now = time.monotonic()
        return min([_LOOK_EVERY_S, *(max(each.at_s - now, 0) for each in self._due)])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them."""
        for worker in self.running:
            os.kill(worker.pid, number)

    def reload(self) -> None:
        """Have the workers try another configuration; those that are started meanwhile, too."""
        self._is_tried = True
        self._say(RELOAD)

    def adopt(self, config: Config) -> None:
        """Start workers by a configuration from now on that one has taken over."""
        self._is_tried = False
        self.config = dataclasses.replace(config, listen=self.config.listen)

    def force_exit(self) -> None:
        """End the workers' drains."""
        self._say(FORCE_EXIT)

    def _say(self, word: bytes) -> None:
        for worker in self.running:
            # It may just have ended, or be stuck: then it is killed in the end.
            with contextlib.suppress(OSError):
                worker.link.send(word)
