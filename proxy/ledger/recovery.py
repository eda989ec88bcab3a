"""What dead processes have left: their rows, and those of the requests that were in flight."""

import contextlib
import fcntl
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from proxy.ledger.row import Row, from_line
from proxy.ledger.spool import IN_FLIGHT, LOCK, SEGMENTS, remove
from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)


class DeadSpool:
    """The folder of a process that has ended; its lock is ours meanwhile.

    Attributes:
        unreadable: lines that are no rows: torn by the end of the process, or of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unreadable = 0

    def batches(self, count: int) -> Iterator[list[Row]]:
        """Return the rows, at most so many at a time: those of ended requests, then those that were in flight."""
        for path in (*sorted(self.folder.glob(SEGMENTS)), self.folder / IN_FLIGHT):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as lines:
                while some := list(itertools.islice(lines, count)):
                    rows = [row for line in some if (row := _whole(line)) is not None]
                    self.unreadable += len(some) - len(rows)
                    yield rows

    def remove(self) -> None:
        """Remove the folder: all of it is stored."""
        remove(self.folder)


def dead_spools(folder: Path) -> Iterator[DeadSpool]:
    """Return the folders of processes that have ended, one after the other, oldest first.

    Args:
        folder: where the folders of all processes are.
    """
    for each in sorted(folder.glob("[!.]*")):
        try:
            with _locked(each) as is_ours:
                if is_ours:
                    yield DeadSpool(each)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            # Such as one of another user's: the others are stored, and this process goes on.
            _log.error(
                "rows that a process left in %s cannot be read: %s",
                each,
                error.strerror,
                extra=notice(Event.SPOOL_UNREADABLE, str(each)),
            )


def waiting_rows(folder: Path) -> int:
    """Return how many rows of ended requests are in the folders, at most: of a batch just stored some may still be."""
    count = 0
    for path in folder.glob(f"[!.]*/{SEGMENTS}"):
        with contextlib.suppress(OSError), path.open("rb") as lines:
            count += sum(1 for _ in lines)
    return count


def living(folder: Path) -> int:
    """Return how many of the folders are of processes that run; what cannot be looked at may be one's."""
    count = 0
    for each in folder.glob("[!.]*"):
        try:
            with _locked(each) as is_ours:
                count += not is_ours
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            count += 1
    return count


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock, unless its process, or another that recovers it, has it."""
    file = os.open(folder / LOCK, os.O_RDWR)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # Whoever had it may have removed the folder since.
            yield (folder / LOCK).exists()
    finally:
        os.close(file)


def _whole(line: bytes) -> Row | None:
    """Return the row of a line; None: it was not written to its end, or is none."""
    return from_line(line) if line.endswith(b"\n") else None
