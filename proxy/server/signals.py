"""The signals of everyday life: which end the gateway, which it ignores, and what a closed terminal means."""

import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Iterable, Iterator

STOP = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("anyrouter")


class Hangup:
    """What SIGHUP means: the terminal this process was started from has gone, or somebody asks for a reload.

    With `nohup`, or without a terminal from the start, it never means the former.
    """

    def __init__(self) -> None:
        self._had_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _has_terminal()

    def ends(self) -> bool:
        """Return whether a SIGHUP that came ends the gateway; one that does not asks for a reload."""
        if self._had_terminal and not _has_terminal():
            _log.info("the terminal has gone: stopping")
            return True
        return False


def _has_terminal() -> bool:
    # A terminal that has hung up cannot be opened by this name any more.
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ignore_user_signals() -> None:
    """Ignore SIGUSR1 and SIGUSR2: service managers and log rotation send them, and each would end the process."""
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


class Signals:
    """Signals as something to wait for, beside sockets: none is lost, and none breaks into what is being done."""

    def __init__(self, receiving: socket.socket) -> None:
        self._receiving = receiving

    @classmethod
    @contextlib.contextmanager
    def received(cls, *numbers: signal.Signals) -> Iterator["Signals"]:
        """Receive these signals inside the context."""
        receiving, sending = socket.socketpair()
        with receiving, sending:
            receiving.setblocking(False)
            sending.setblocking(False)
            before = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
            handlers = {
                number: signal.signal(number, lambda _number, _frame: None) for number in numbers
            }
            try:
                yield cls(receiving)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(before)

    def wait(self, timeout_s: float, others: Iterable[socket.socket] = ()) -> bytes:
        """Wait for signals, or for bytes at other sockets; return the signals' numbers."""
        poll = select.poll()  # `select.select` takes no descriptor above 1023
        for each in (self._receiving, *others):
            poll.register(each, select.POLLIN)
        if self._receiving.fileno() in dict(poll.poll(timeout_s * 1e3)):
            return self._receiving.recv(4096)
        return b""
