"""Folders of sockets that a killed gateway has left, told from those of one that runs."""

import contextlib
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

PREFIX = "anyrouter-"


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Mark a folder as used, by this process and all that it forks, and remove what others have left beside it."""
    held = os.open(folder, os.O_RDONLY)
    try:
        # Where a file system has no locks, the sockets alone tell.
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for other in folder.parent.glob(f"{PREFIX}*"):
            if other != folder and _is_left(other):
                shutil.rmtree(other, ignore_errors=True)
        yield
    finally:
        os.close(held)


def _is_left(folder: Path) -> bool:
    """Return whether a folder is one of ours, and of processes that are gone."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        sockets = list(folder.iterdir())
        # An empty one may have been made just now.
        if not sockets or not all(each.name.isdigit() and each.is_socket() for each in sockets):
            return False
        held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(held)
    except OSError:
        return False
    # Older versions took no lock.
    return not any(map(_answers, sockets))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
