"""Several processes on one port: forked, replaced when one dies or is stuck, drained together."""

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

from proxy.config import Config, with_listen
from proxy.server.addresses import bound
from proxy.server.heartbeat import FORCE_EXIT, ParentLink
from proxy.server.notify import notify
from proxy.server.signals import STOP, Hangup, Signals

Work = Callable[[Config, ParentLink], None]

_log = logging.getLogger("anyrouter")

SILENT_S = 10.0

_START_WITHIN_S = 60.0
_RESPAWN_AFTER_S = 1.0
_KILL_AFTER_S = 5.0
_LOOK_EVERY_S = 1.0
# A worker told to stop before it could listen to signals ends by them.
_ENDED_AS_TOLD = (0, -signal.SIGTERM)


def supervise(
    config: Config,
    works: Sequence[Work],
    ready: Callable[[Sequence[tuple[str, int]]], None],
    *,
    silent_s: float = SILENT_S,
) -> int:
    """Run a process for each of `works` until told to stop.

    A worker that dies is replaced, at most once a second; one whose event loop has not turned for
    `silent_s` is killed first, since it takes its share of new connections with it. SIGTERM and SIGINT drain all, a
    second one ends the drain; workers that outlive `drain_s` by five seconds are killed. When this process itself
    is killed, its workers drain.

    Args:
        config: where to listen; port 0 is settled here, once for all.
        works: what each does in its process: it listens, follows its parent when it does, and drains on SIGTERM.
        ready: called with the addresses once all workers listen.
        silent_s: for how long a worker may be stuck.

    Returns:
        The exit status: 0 when every worker ended as told.

    Raises:
        OSError: an address cannot be bound.
    """
    hangup = Hangup()
    with bound(config.listen.hosts, config.listen.port) as sockets:
        # Another gateway's workers would share the port with ours; without SO_REUSEPORT this fails.
        port = sockets[0].getsockname()[1]
    # Bound, but never listening: they keep the port ours while workers come and go.
    with (
        bound(config.listen.hosts, port, reuse_port=True) as sockets,
        Signals.received(*STOP, signal.SIGHUP, signal.SIGCHLD) as signals,
    ):
        workers = _Workers(with_listen(config, port=port), len(works), silent_s)
        for work in works:
            workers.spawn(work)
        addresses = [one.getsockname()[:2] for one in sockets]
        _keep_up(workers, signals, hangup, lambda: ready(addresses))
        return _drain(workers, signals, config.timeouts.drain_s + _KILL_AFTER_S)


def _keep_up(
    workers: "_Workers", signals: Signals, hangup: Hangup, all_listen: Callable[[], None]
) -> None:
    """Replace workers that end or are stuck, until told to stop."""
    told = False
    while True:
        numbers = signals.wait(workers.next_spawn_in_s(), workers.links())
        if not {*STOP}.isdisjoint(numbers) or (signal.SIGHUP in numbers and hangup.ends()):
            return
        workers.hear()
        if not told and workers.all_listen():
            told = True
            all_listen()
        workers.kill_stuck()
        workers.respawn()


def _drain(workers: "_Workers", signals: Signals, within_s: float) -> int:
    """End every worker; kill those that take too long."""
    notify("STOPPING=1")
    workers.signal(signal.SIGTERM)
    deadline = time.monotonic() + within_s
    failed = False
    while True:
        # Before the first wait, too: of one that ended meanwhile, the signal to stop may have told as well.
        failed |= any(status not in _ENDED_AS_TOLD for _, status in workers.reap())
        if not workers.running:
            return 1 if failed else 0
        numbers = signals.wait(max(deadline - time.monotonic(), 0))
        if any(number in STOP for number in numbers):
            workers.force_exit()
        elif time.monotonic() >= deadline:
            _log.error("%d workers did not end in time; killing them", len(workers.running))
            workers.signal(signal.SIGKILL)
            deadline += _KILL_AFTER_S


@dataclasses.dataclass
class _Worker:
    """A process. `heard_at` is when its event loop last turned; before it listens, when it has to at the latest."""

    pid: int
    work: Work
    link: socket.socket
    started: float
    heard_at: float
    listens: bool = False


class _Workers:
    """The processes that run."""

    def __init__(self, config: Config, count: int, silent_s: float) -> None:
        self._config = config
        self._count = count
        self._silent_s = silent_s
        self._due: list[tuple[float, Work]] = []
        self._looked_at = time.monotonic()
        self.running: list[_Worker] = []

    def spawn(self, work: Work) -> None:
        link, parent = socket.socketpair()
        # Held until the child has its own handlers: what is meant for it must not run the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        try:
            pid = os.fork()
            if not pid:
                # A worker sees its parent's end by the end of this socket: nobody else may hold the other side.
                for each in (link, *(worker.link for worker in self.running)):
                    each.close()
                _run_worker(lambda: work(self._config, ParentLink(parent)))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        parent.close()
        link.setblocking(False)
        now = time.monotonic()
        heard_at = now + _START_WITHIN_S - self._silent_s
        self.running.append(_Worker(pid, work, link, now, heard_at))

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
            with contextlib.suppress(BlockingIOError, ConnectionError):
                if worker.link.recv(4096):
                    worker.listens = True
                    worker.heard_at = now

    def all_listen(self) -> bool:
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

    def reap(self) -> list[tuple[_Worker, int]]:
        """Forget the workers that have ended; return them with their exit statuses."""
        ended = []
        for worker in list(self.running):
            gone, status = os.waitpid(worker.pid, os.WNOHANG)
            if gone:
                self.running.remove(worker)
                worker.link.close()
                ended.append((worker, os.waitstatus_to_exitcode(status)))
        return ended

    def respawn(self) -> None:
        """Replace the workers that have ended, those that lived a short time after a while."""
        for worker, status in self.reap():
            _log.error("worker %d ended with status %d; starting another", worker.pid, status)
            self._due.append((worker.started + _RESPAWN_AFTER_S, worker.work))
        now = time.monotonic()
        due, self._due = self._due, []
        for at, work in due:
            if at > now:
                self._due.append((at, work))
                continue
            try:
                self.spawn(work)
            except OSError as error:  # of memory, processes, files: the others go on
                _log.error("no worker can be started, trying again: %s", error.strerror)
                self._due.append((now + _RESPAWN_AFTER_S, work))

    def next_spawn_in_s(self) -> float:
        """Return how long nothing is to be done, a second at most."""
        return min([max(at - time.monotonic(), 0) for at, _ in self._due], default=_LOOK_EVERY_S)

    def signal(self, number: signal.Signals) -> None:
        for worker in self.running:
            os.kill(worker.pid, number)

    def force_exit(self) -> None:
        """End the workers' drains."""
        for worker in self.running:
            # It may just have ended, or be stuck: then it is killed in the end.
            with contextlib.suppress(OSError):
                worker.link.send(FORCE_EXIT)


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
