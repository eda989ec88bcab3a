"""Rows on disk until the store has them: a folder for each process, locked while it lives.

`000001.seg` and so on hold a row per line, appended; `inflight.rows` holds, once per second, the rows that the requests
in flight would leave if the process ended now.
"""

import collections
import contextlib
import fcntl
import os
import random
import shlex
import threading
import time
from pathlib import Path

from proxy.config import Store

SEGMENT_BYTES = 4 << 20
LOCK, IN_FLIGHT, SEGMENTS = "lock", "inflight.rows", "*.seg"
_READ_BYTES = 256 << 10


class Spool:
    """The folder of this process. One thread appends, another reads from the front and says what is stored.

    Args:
        folder: where the folders of all processes are.

    Raises:
        OSError: the folder cannot be made, or not written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Sorted by time, and its own in whatever process: one may hold several gateways.
        name = f"{time.time_ns() // 1_000_000:012x}-{os.getpid()}-{random.getrandbits(32):08x}"
        self.folder = folder / name
        # Whole and locked before it has its name: others take one without a lock for a dead process's.
        made = folder / f".{name}"
        made.mkdir(mode=0o700)
        self._lock_file = os.open(made / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        made.rename(self.folder)
        self._lock = threading.Lock()
        # Number and bytes of each segment, oldest first; the last is written to, the first is read from.
        self._segments: collections.deque[list[int]] = collections.deque()
        self._file = -1
        self._rows = 0
        self._read_to = 0
        self._has_in_flight = False
        self._begin_segment(1)

    @property
    def waiting_bytes(self) -> int:
        """How much is not stored yet."""
        with self._lock:
            return sum(size for _, size in self._segments) - self._read_to

    @property
    def is_there(self) -> bool:
        """Whether the folder is where it was made; somebody may have moved it away."""
        return (self.folder / LOCK).exists()

    @property
    def way_back(self) -> str:
        """How a folder that was moved away comes back, with commands to be typed as they are; "": it is there."""
        if self.is_there:
            return ""
        kept, state_dir = self.folder.parent, self.folder.parent.parent
        if not state_dir.exists():
            return f"put {state_dir} back where it was"
        here, aside = shlex.quote(f"{state_dir}"), shlex.quote(f"{state_dir}.new")
        if not kept.exists():
            return f"put {kept} back; or all of {state_dir}, after `mv {here} {aside}`"
        return (
            f"it was moved away, and there is another {state_dir} by now: `mv {here} {aside}`, put the one before back,"
            f" and give it the other's rows: `mv {aside}/spool/* {here}/spool/`"
        )

    @property
    def waiting_rows(self) -> int:
        """How many rows are not stored yet."""
        return self._rows

    def append(self, data: bytes, rows: int) -> None:
        """Write lines, all or none.

        Raises:
            OSError: the disk is full, or broken.
        """
        number, size = self._segments[-1]
        if size >= SEGMENT_BYTES:
            self._begin_segment(number + 1)
            size = 0
        try:
            rest = memoryview(data)
            while rest:  # a write that stops half-way tells its reason the next time
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise
        with self._lock:
            self._segments[-1][1] = size + len(data)
            self._rows += rows

    def sync(self) -> None:
        """Bring to the disk what was written, unless it is stored: then the room is given back."""
        with self._lock:
            segment = self._segments[-1]
            if len(self._segments) == 1 and segment[1] and self._read_to == segment[1]:
                # Also for the sake of retention: rows that stay here for months would come again after a crash.
                os.ftruncate(self._file, 0)
                segment[1] = self._read_to = 0
                return
        os.fdatasync(self._file)

    def keep_in_flight(self, data: bytes) -> None:
        """Replace what is known of the requests in flight."""
        if not data and not self._has_in_flight:
            return
        new = self.folder / f"{IN_FLIGHT}.new"
        with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(data)
        new.rename(self.folder / IN_FLIGHT)
        self._has_in_flight = bool(data)

    def read(self, count: int) -> tuple[list[bytes], int]:
        """Return the oldest lines that are not stored, and how many bytes they are; none: all is stored."""
        with self._lock:
            while len(self._segments) > 1 and self._read_to == self._segments[0][1]:
                number, _ = self._segments.popleft()
                (self.folder / _name(number)).unlink(missing_ok=True)
                self._read_to = 0
            (number, size), start = self._segments[0], self._read_to
        if start == size:
            return [], 0
        with (self.folder / _name(number)).open("rb") as file:
            file.seek(start)
            return cut(file.read(min(_READ_BYTES, size - start)), count)

    def stored(self, size: int, rows: int) -> None:
        """Take note that the store has what `read` returned."""
        with self._lock:
            self._read_to += size
            self._rows -= rows

    def close(self) -> None:
        """Let the folder go: it is removed when all of it is stored, else another process stores it."""
        if not self.waiting_bytes and self.is_there:
            remove(self.folder)
        os.close(self._file)
        os.close(self._lock_file)

    def _begin_segment(self, number: int) -> None:
        if self._file >= 0:
            os.fdatasync(self._file)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
        file = os.open(self.folder / _name(number), flags, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        with self._lock:
            self._segments.append([number, 0])


def spools(store: Store) -> Path:
    """Return where the folders of all processes are."""
    return Path(store.state_dir) / "spool"


def cut(data: bytes, count: int) -> tuple[list[bytes], int]:
    """Return the first whole lines, at most so many, and how many bytes they are with their ends."""
    lines = data.split(b"\n", count)
    rest = lines.pop()
    return lines, len(data) - len(rest)


def remove(folder: Path) -> None:
    """Remove the folder of a process, its lock last."""
    for pattern in (SEGMENTS, f"{IN_FLIGHT}*", LOCK):
        for path in folder.glob(pattern):
            path.unlink()
    folder.rmdir()


def _name(number: int) -> str:
    return f"{number:06d}.seg"
