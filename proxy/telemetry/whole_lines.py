"""Keep lines whole where several threads and processes write to one stream.

A pipe takes 4 kB as one, and more only while it has room: then another's line comes into the middle. To write 4 kB at
a time costs a busy loop a tenth of its time, since each write has the thread wait for the interpreter, and the loop
wake it in vain at each of its calls. So whoever writes more at once holds a lock.
"""

import fcntl
import os
import select
import stat
import threading
import time
from types import TracebackType
from typing import Protocol

_AT_ONCE_BYTES = 1 << 16
_AGAIN_AFTER_S = 0.005
_locks: dict[tuple[int, int], threading.Lock] = {}
# A fork would keep what a thread of its parent's held, for ever.
os.register_at_fork(after_in_child=_locks.clear)


class HasDescriptor(Protocol):
    """What lines are written to."""

    def fileno(self) -> int:
        """Return the descriptor."""


class WholeLines:
    """Held during a write, it keeps all others out who write to the same file; those of other processes by its end too.

    Of other files than pipes and sockets nobody is kept out: a regular one takes as one whatever it is given, and its
    lock may be another machine's; the null device is everybody's.

    Attributes:
        at_once_bytes: the most that may be written while it is held once.
    """

    def __init__(self, stream: HasDescriptor, *, among_processes: bool) -> None:
        """Take what is written to, and whether other processes write to it."""
        self._descriptor: int | None = None
        self._lock: threading.Lock | None = None
        self.at_once_bytes = select.PIPE_BUF
        try:
            status = os.fstat(stream.fileno())
        except OSError:
            return  # no file of the system's
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            self._lock = _locks.setdefault((status.st_dev, status.st_ino), threading.Lock())
            if among_processes:
                self._descriptor = stream.fileno()
                if not _can_be_locked(self._descriptor):
                    self._descriptor = None
                    return
        self.at_once_bytes = _AT_ONCE_BYTES

    def __enter__(self) -> None:
        if self._lock is None:
            return
        self._lock.acquire()
        try:
            # Not waited for in the kernel, to which all threads of a process are one: it would take it for a deadlock
            # when two processes, each by two threads, write to two streams.
            while self._descriptor is not None and not _is_locked_now(self._descriptor):
                time.sleep(_AGAIN_AFTER_S)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is None:
            return
        try:
            if self._descriptor is not None:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._lock.release()


def _can_be_locked(descriptor: int) -> bool:
    """Return whether the system locks such files: Linux does, be they pipes or sockets."""
    try:
        if _is_locked_now(descriptor):
            fcntl.lockf(descriptor, fcntl.LOCK_UN)
    except OSError:
        return False
    return True


def _is_locked_now(descriptor: int) -> bool:
    """Lock it, unless another process has."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
