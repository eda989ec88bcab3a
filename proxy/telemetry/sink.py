"""A thread between lines and what they are written to, so that a slow disk or pipe never holds the event loop."""

import bisect
import itertools
import logging
import select
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.telemetry.whole_lines import WholeLines

_GATHER_S = 0.05
_CLOSE_WITHIN_S = 2.0
_MAX_QUEUED_LINES = 10_000
_MORE_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class RawStream(Protocol):
    """What lines are written to: an unbuffered file, which keeps nothing back when it fails."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some; return how many bytes, or None when a non-blocking file takes none now."""

    def flush(self) -> None:
        """Write what is held back."""


class BufferedSink:
    """Writes lines to a stream from a thread of its own.

    While the stream takes nothing, 10,000 lines wait; what comes then, and what cannot be written, is lost, and the
    log says how many lines that were.

    Args:
        stream: what to write to.
        kind: what the lines are, in the log's words: `access` or `log`.
        gather_s: how long lines are gathered before they are written together.
        more: asked once per second for further lines.
        shared: whether other processes write lines to the stream too, each by a sink.
    """

    def __init__(
        self,
        stream: RawStream,
        kind: str = "access",
        *,
        gather_s: float = _GATHER_S,
        more: Callable[[], list[bytes]] | None = None,
        shared: bool = True,
    ) -> None:
        self._stream = stream
        self._kind = kind
        self._gather_s = gather_s
        self._more = more
        self._whole_lines = WholeLines(stream, among_processes=shared)
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._writing = 0
        self._lost = self._told_lost = 0
        self._failing = False
        self._has_lines, self._closing = threading.Event(), threading.Event()
        # Not an executor's: the interpreter would join that at its exit, and hang with a pipe that nobody reads.
        self._thread = threading.Thread(target=self._run, name=f"{kind}-sink", daemon=True)
        self._thread.start()

    def __call__(self, line: bytes) -> None:
        """Take a line."""
        with self._lock:
            if len(self._lines) >= _MAX_QUEUED_LINES:
                self._lost += 1
                return
            self._lines.append(line)
            is_first = len(self._lines) == 1
        if is_first:
            self._has_lines.set()

    def lost(self) -> int:
        """Return how many lines are lost so far."""
        with self._lock:
            return self._told_lost + self._lost

    def close(self) -> None:
        """Write what is left, for two seconds at most, and end the thread."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._has_lines.set()
        self._thread.join(_CLOSE_WITHIN_S)
        with self._lock:
            # Nothing is being written unless the thread still waits for the stream.
            self._lost += len(self._lines) + self._writing
            self._lines, self._writing = [], 0
        self._tell_lost()

    def _run(self) -> None:
        closing = busy = False
        while not closing:
            if not busy:
                self._has_lines.wait(_MORE_EVERY_S if self._more else None)
            self._has_lines.clear()  # before the look at `_closing`: the other way round, `close` could go unheard
            closing = self._closing.wait(self._gather_s)
            more = self._more() if self._more else []
            with self._lock:
                lines, self._lines = self._lines + more, []
                self._writing = len(lines)
            busy = bool(lines)
            if busy:
                self._try_write(lines)

    def _try_write(self, lines: list[bytes]) -> None:
        try:
            for piece in _pieces(lines, self._whole_lines.at_once_bytes):
                with self._whole_lines:
                    self._write(piece)
            self._stream.flush()
        except OSError as error:
            with self._lock:
                self._lost += self._writing
                self._writing = 0
            if not self._failing:
                _log.error(
                    "%s lines cannot be written: %s",
                    self._kind,
                    error,
                    extra=notice(Event.LINES_NOT_WRITTEN, self._kind),
                )
            self._failing = True
        else:
            self._failing = False
            self._tell_lost()

    def _write(self, lines: list[bytes]) -> None:
        rest = memoryview(b"\n".join([*lines, b""]))
        ends = list(itertools.accumulate(len(line) + 1 for line in lines))
        done = whole = 0
        while rest:
            written = self._stream.write(rest)
            if written is None:  # whoever started us has made it non-blocking
                select.select([], [self._stream], [])
                continue
            rest = rest[written:]
            done += written
            before, whole = whole, bisect.bisect_right(ends, done)
            with self._lock:
                self._writing -= whole - before

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
            self._told_lost += lost
        if lost:
            _log.warning(
                "%d %s lines were lost: they could not be written in time",
                lost,
                self._kind,
                extra=notice(Event.LINES_LOST, self._kind),
            )


def _pieces(lines: list[bytes], most_bytes: int) -> Iterator[list[bytes]]:
    """Divide lines into pieces of less than so many bytes, or of one line."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) >= most_bytes:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    yield piece
