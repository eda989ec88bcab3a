"""How many files the process may open, and whether they run short."""

import errno
import logging
import os
import resource
import sys

from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger("anyrouter")

# The server's and the log's own, and those of the connections being refused.
_OTHER_FILES = 64
_SPENT = {errno.EMFILE, errno.ENFILE}


def raise_open_file_limit(connections: int) -> None:
    """Raise the limit of open files to what so many connections need, each with one upstream."""
    wanted = 2 * connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    if granted < connections + _OTHER_FILES:
        _log.warning(
            "%d open files are allowed, limits.max_connections needs %d: raise the hard limit",
            granted,
            wanted,
            extra=notice(Event.TOO_FEW_FILES),
        )


class FileReserve:
    """The last quarter of the files that may be open, kept for upstreams: beyond it no client is let in.

    The system gives a new file the lowest free number, so one that is opened tells how many there are. 2 µs.
    """

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = sys.maxsize if soft == resource.RLIM_INFINITY else soft
        self._first = limit - limit // 4
        # How many connections may be held open at once to be refused: each is a file, too.
        self.refusals = limit // 16

    def is_reached(self) -> bool:
        """Return whether a further connection would take a file of the reserve."""
        try:
            number = os.dup(0)
        except OSError as error:
            return error.errno in _SPENT
        os.close(number)
        return number >= self._first
