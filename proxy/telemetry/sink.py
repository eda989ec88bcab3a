"""A thread between log lines and what they are written to, so that a slow disk or pipe never holds the event loop."""

import logging
import select
import threading
from typing import Protocol

_FLUSH_AFTER_S = 0.05
_CLOSE_WITHIN_S = 2.0
_MAX_QUEUED_LINES = 10_000
_log = logging.getLogger(__name__)


class RawStream(Protocol):
    """What lines are written to: an unbuffered file, which keeps nothing back when it fails."""

    def fileno(self) -> int:
        """Give the descriptor."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some; give how many bytes, or None when a non-blocking file takes none now."""

    def flush(self) -> None:
        """Write what is held back."""


class BufferedSink:
    """Writes lines to a stream from a thread of its own, so that a slow disk or pipe never holds the event loop.

    Lines are gathered for 50 ms. While the stream takes nothing, 10,000 wait; what comes then, and what cannot be
    written, is lost, and the log says how many lines that were.
    """

    def __init__(self, stream: RawStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._in_hand = 0
        self._lost = 0
        self._failing = False
        self._some, self._closing = threading.Event(), threading.Event()
        # Not an executor's: the interpreter would join that at its exit, and hang with a pipe that nobody reads.
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
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
            self._some.set()

    def close(self) -> None:
        """Write what is left, for two seconds at most, and end the thread."""
        self._closing.set()
        self._some.set()
        self._thread.join(_CLOSE_WITHIN_S)
        with self._lock:
            # Nothing is in hand unless the thread still waits for the stream.
            self._lost += len(self._lines) + self._in_hand
            self._lines, self._in_hand = [], 0
        self._tell_lost()

    def _run(self) -> None:
        closing = False
        while not closing:
            self._some.wait()
            self._some.clear()  # before the look at `_closing`: the other way round, the word of `close` could be lost
            closing = self._closing.wait(_FLUSH_AFTER_S)
            with self._lock:
                lines, self._lines = self._lines, []
                self._in_hand = len(lines)
            if lines:
                self._try_write(lines)

    def _try_write(self, lines: list[bytes]) -> None:
        try:
            self._write(b"\n".join([*lines, b""]))
        except OSError as error:
            with self._lock:
                self._lost += self._in_hand
                self._in_hand = 0
            if not self._failing:
                _log.error("access lines cannot be written: %s", error)
            self._failing = True
        else:
            with self._lock:
                self._in_hand = 0
            self._failing = False
            self._tell_lost()

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            written = self._stream.write(rest)
            if written is None:  # whoever started us has made it non-blocking
                select.select([], [self._stream], [])
            else:
                rest = rest[written:]
        self._stream.flush()

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            _log.warning("%d access lines were lost: they could not be written in time", lost)
