"""Several processes on one port: forked, restarted when one dies, drained together."""

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from proxy.config import Config, with_listen
from proxy.server.serve import HURRY

Work = Callable[[Config, Callable[[], None]], None]

_log = logging.getLogger("anyrouter")

_RESTART_AFTER_S = 1.0
_KILL_AFTER_S = 5.0
_STOP = (signal.SIGTERM, signal.SIGINT)
_LISTENING = 0  # the number of no signal
# A worker told to stop before it could listen to signals ends by them.
_ENDED_AS_TOLD = (0, -signal.SIGTERM, -HURRY)


def supervise(
    config: Config,
    work: Work,
    ready: Callable[[Sequence[tuple[str, int]]], None],
) -> int:
    """Run `config.listen.workers` processes until told to stop.

    A worker that dies is replaced, at most one a second for each place. SIGTERM and SIGINT drain all, a second
    one ends the drain; workers that outlive `drain_s` by five seconds are killed. When this process itself is
    killed, its workers drain.

    Args:
        config: where to listen; port 0 is settled here, once for all.
        work: what a worker does in its process: it listens with `SO_REUSEPORT`, calls its second argument when it
            does, drains on SIGTERM, and ends its drain on `HURRY`.
        ready: called with the address once all workers listen.

    Returns:
        The exit status: 0 when every worker ended as told.

    Raises:
        OSError: the address cannot be bound.
    """
    # Bound, but never listening: it keeps the port ours while workers come and go.
    family, _, _, _, address = socket.getaddrinfo(
        config.listen.host, config.listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        # Another gateway's workers would share the port with ours; without SO_REUSEPORT this fails.
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
    with socket.socket(family, socket.SOCK_STREAM) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
        bound: tuple[str, int] = reserved.getsockname()[:2]
        with _Arrivals.received() as arrivals:
            crew = _Crew(with_listen(config, port=bound[1]), work, arrivals.note_listening)
            for _ in range(config.listen.workers):
                crew.start_one()
            _keep_up(crew, arrivals, config.listen.workers, lambda: ready([bound]))
            return _drain(crew, arrivals, config.timeouts.drain_s + _KILL_AFTER_S)


def _keep_up(
    crew: "_Crew", arrivals: "_Arrivals", missing: int, all_listen: Callable[[], None]
) -> None:
    """Replace workers that end, until told to stop."""
    while True:
        arrived = arrivals.wait(crew.next_start_in_s())
        if any(number in _STOP for number in arrived):
            return
        listening = arrived.count(_LISTENING)
        if 0 < missing <= listening:
            all_listen()
        missing -= listening
        crew.keep_up()


def _drain(crew: "_Crew", arrivals: "_Arrivals", within_s: float) -> int:
    """End every worker; kill those that take too long."""
    crew.tell(signal.SIGTERM)
    deadline = time.monotonic() + within_s
    failed = False
    while crew.started:
        arrived = arrivals.wait(max(deadline - time.monotonic(), 0))
        if any(number in _STOP for number in arrived):
            crew.tell(HURRY)
        elif time.monotonic() >= deadline:
            _log.error("%d workers did not end in time; killing them", len(crew.started))
            crew.tell(signal.SIGKILL)
            deadline += _KILL_AFTER_S
        ended = crew.reap()
        failed = failed or any(status not in _ENDED_AS_TOLD for _, status, _ in ended)
    return 1 if failed else 0


class _Arrivals:
    """Signals, and the word of workers that listen, as something to wait for.

    No signal is lost, and none breaks into what is being done.
    """

    def __init__(self, receiving: socket.socket, sending: socket.socket) -> None:
        self._receiving = receiving
        self._sending = sending

    @classmethod
    @contextlib.contextmanager
    def received(cls) -> Iterator["_Arrivals"]:
        """Receive the signals to stop, and those of children that ended, inside the context."""
        receiving, sending = socket.socketpair()
        with receiving, sending:
            receiving.setblocking(False)
            sending.setblocking(False)
            before = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
            handlers = {
                number: signal.signal(number, lambda _number, _frame: None)
                for number in (*_STOP, signal.SIGCHLD)
            }
            try:
                yield cls(receiving, sending)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(before)

    def wait(self, timeout_s: float | None) -> bytes:
        """Wait for something to arrive; give the numbers of the signals, and `_LISTENING` for each worker's word."""
        if not select.select([self._receiving], [], [], timeout_s)[0]:
            return b""
        return self._receiving.recv(4096)

    def note_listening(self) -> None:
        """Say, in a worker, that it listens."""
        self._sending.send(bytes([_LISTENING]))


class _Crew:
    """The workers.

    Attributes:
        started: by process id, when; those that run.
    """

    def __init__(self, config: Config, work: Work, note_listening: Callable[[], None]) -> None:
        self._config = config
        self._work = work
        self._note_listening = note_listening
        self._due: list[float] = []
        # Nothing is ever written: the kernel closes our end when we die, however we do.
        self._end_seen, self._alive = os.pipe()
        self.started: dict[int, float] = {}

    def start_one(self) -> None:
        # Held until the child has its own handlers: what is meant for it must not run the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            pid = os.fork()
            if not pid:
                os.close(self._alive)
                _be_worker(lambda: self._work(self._config, self._note_listening), self._end_seen)
            self.started[pid] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def reap(self) -> list[tuple[int, int, float]]:
        """Forget the workers that have ended; give their ids, exit statuses and when they began."""
        ended = []
        for pid, since in list(self.started.items()):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                del self.started[pid]
                ended.append((pid, os.waitstatus_to_exitcode(status), since))
        return ended

    def keep_up(self) -> None:
        """Replace the workers that have ended, those that lived a short time after a while."""
        for pid, status, since in self.reap():
            _log.error("worker %d ended with status %d; starting another", pid, status)
            self._due.append(max(since + _RESTART_AFTER_S, time.monotonic()))
        now = time.monotonic()
        due, self._due = [at for at in self._due if at <= now], [at for at in self._due if at > now]
        for _ in due:
            self.start_one()

    def next_start_in_s(self) -> float | None:
        return max(min(self._due) - time.monotonic(), 0) if self._due else None

    def tell(self, number: signal.Signals) -> None:
        for pid in self.started:
            os.kill(pid, number)


def _end_with_parent(end_seen: int) -> None:
    """Drain once the parent is gone: nobody else would end us, and a new one could not have the port."""
    os.read(end_seen, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _be_worker(work: Callable[[], None], end_seen: int) -> None:
    """Work, and end the process."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        # Ctrl-C reaches the whole group: the parent alone acts on it, and sends SIGTERM.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        threading.Thread(target=_end_with_parent, args=(end_seen,), daemon=True).start()
        work()
        status = 0
    except Exception:  # noqa: BLE001 - the process ends here, and must say why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
