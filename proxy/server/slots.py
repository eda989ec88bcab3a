"""The listening sockets of workers, owned by the process that starts them: clients wait there for the next worker."""

import contextlib
import logging
import socket
import time
from collections.abc import Sequence

from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.server.addresses import bound

_log = logging.getLogger("anyrouter")

BACKLOG = 2048

_MOST_LOST = 5
_LOST_WITHIN_S = 60.0


class Slot:
    """What one worker after the other listens on.

    The kernel shares new connections out among the slots. One that is handed to a slot whose worker has died waits for
    the next worker; so where workers are lost one after the other, or one never comes to listen, nobody waits: the next
    one is given a socket that is bound only, and listens itself.

    Args:
        hosts: of the configuration.
        port: that other sockets have bound, too.

    Attributes:
        sockets: empty while it is closed.
    """

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        self._hosts = hosts
        self._port = port
        self._lost_s: list[float] = []
        self._is_waited_at = True
        self._opened = contextlib.ExitStack()
        self.sockets: list[socket.socket] = []

    def open(self) -> None:
        """Bind, and listen where clients may wait for a worker, unless it is open already.

        Raises:
            OSError: no socket can be had.
        """
        if not self.sockets:
            with contextlib.ExitStack() as opened:
                sockets = opened.enter_context(bound(self._hosts, self._port, reuse_port=True))
                if self._is_waited_at:
                    for each in sockets:
                        each.listen(BACKLOG)
                self._opened = opened.pop_all()
            self.sockets = sockets

    def close(self) -> None:
        """Close the sockets of this process."""
        self.sockets = []
        self._opened.close()

    def worker_lost(self, *, had_listened: bool) -> None:
        """Have clients wait for the next worker, or nobody any more.

        Args:
            had_listened: whether the one that ended, or could not be started, or the one before it, ever did.
        """
        now = time.monotonic()
        self._lost_s = [each for each in self._lost_s if now - each < _LOST_WITHIN_S]
        self._lost_s.append(now)
        was_waited_at = self._is_waited_at
        self._is_waited_at = had_listened and len(self._lost_s) < _MOST_LOST
        if not self._is_waited_at:
            self.close()
            if was_waited_at:
                _log.error(
                    "a worker is lost again and again, or never listens: no client waits for it now",
                    extra=notice(Event.WORKERS_LOST),
                )
