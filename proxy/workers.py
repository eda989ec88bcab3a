"""Several processes on one port: forked, restarted when one dies, drained together."""

import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from proxy.commands.options import with_listen
from proxy.config import Config

_log = logging.getLogger("anyrouter")

_RESTART_AFTER_S = 1.0
_KILL_AFTER_S = 5.0
_POLL_S = 0.05


class _StopError(Exception):
    """SIGTERM or SIGINT has come."""


def supervise(
    config: Config,
    work: Callable[[Config], None],
    ready: Callable[[Sequence[tuple[str, int]]], None],
) -> int:
    """Run `config.listen.workers` processes until told to stop.

    A worker that dies is replaced, at most one a second for each place. SIGTERM and SIGINT drain all; those that
    outlive `drain_s` by five seconds are killed.

    Args:
        config: where to listen; port 0 is settled here, once for all.
        work: what a worker does in its process; it listens with `SO_REUSEPORT` and drains on SIGTERM.
        ready: called with the address once the workers are started.

    Returns:
        The exit status: 0 when every worker ended as told.

    Raises:
        OSError: the address cannot be bound.
    """
    # Bound, but never listening: it keeps the port ours while workers come and go.
    family, _, _, _, address = socket.getaddrinfo(
        config.listen.host, config.listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, socket.SOCK_STREAM) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
        bound: tuple[str, int] = reserved.getsockname()[:2]
        config = with_listen(config, port=bound[1])
        # Installed before the first fork: a signal that comes early is not lost.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        started: dict[int, float] = {}
        try:
            for _ in range(config.listen.workers):
                started[_fork(config, work)] = time.monotonic()
            ready([bound])
            _keep_alive(config, work, started)
        except _StopError:
            pass
        return _drain(started, config.timeouts.drain_s + _KILL_AFTER_S)


def _stop(_number: int, _frame: object) -> None:
    raise _StopError


def _fork(config: Config, work: Callable[[Config], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    # Ctrl-C reaches the whole group: the parent alone acts on it, and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    status = 1
    try:
        work(config)
        status = 0
    except Exception:  # noqa: BLE001 - the process ends here, and must say why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _keep_alive(config: Config, work: Callable[[Config], None], started: dict[int, float]) -> None:
    """Replace workers that end, for ever."""
    while True:
        pid, status = os.wait()
        _log.error(
            "worker %d ended with status %d; starting another",
            pid,
            os.waitstatus_to_exitcode(status),
        )
        lived_s = time.monotonic() - started.pop(pid)
        time.sleep(max(_RESTART_AFTER_S - lived_s, 0))
        started[_fork(config, work)] = time.monotonic()


def _drain(started: dict[int, float], within_s: float) -> int:
    """End every worker; kill those that take too long."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for pid in started:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + within_s
    failed = False
    while started:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            started.pop(pid, None)
            failed = failed or status != 0
        elif time.monotonic() > deadline:
            for late in started:
                _log.error("worker %d did not end in time; killing it", late)
                os.kill(late, signal.SIGKILL)
            deadline = float("inf")
        else:
            time.sleep(_POLL_S)
    return 1 if failed else 0
