"""The listening sockets of workers, owned by the process that starts them: clients wait there for the next worker."""

import contextlib
import logging
import socket
import time
from collections.abc import Sequence

from proxy.server.addresses import bound

_log = logging.getLogger("anyrouter")

BACKLOG = 2048

_MOST_DEATHS = 5
_DEATHS_WITHIN_S = 60.0


class Slot:
    """What one worker after the other listens on.

    The kernel shares new connections out among the slots. One that is handed to a slot whose worker has died waits for
    the next worker; so a slot is closed while its workers die one after the other.

    Args:
        hosts: of the configuration.
        port: that other sockets have bound, too.

    Attributes:
        sockets: empty while it is closed.
    """

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        self._hosts = hosts
        self._port = port
        self._deaths_s: list[float] = []
        self._opened = contextlib.ExitStack()
        self.sockets: list[socket.socket] = []

    def open(self) -> None:
        """Listen, unless it does already.

        Raises:
            OSError: no socket can be had.
        """
        if not self.sockets:
            sockets = self._opened.enter_context(bound(self._hosts, self._port, reuse_port=True))
            for each in sockets:
                each.listen(BACKLOG)
            self.sockets = sockets

    def close(self) -> None:
        """Close the sockets of this process."""
        self.sockets = []
        self._opened.close()

    def worker_died(self) -> None:
        """Close it when that has happened too often of late."""
        now = time.monotonic()
        self._deaths_s = [each for each in self._deaths_s if now - each < _DEATHS_WITHIN_S]
        self._deaths_s.append(now)
        if len(self._deaths_s) >= _MOST_DEATHS and self.sockets:
            _log.error(
                "a worker has died %d times in a minute: no client waits for it now", _MOST_DEATHS
            )
            self.close()
