"""One line a request: which client asked for which model, where it went, how it ended. Never a key, never content."""

import logging
import re
import select
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from proxy.errors import encodable
from proxy.exchange import Exchange

LineSink = Callable[[bytes], None]

_log = logging.getLogger(__name__)

_FLUSH_AFTER_S = 0.05
_CLOSE_WITHIN_S = 2.0
_MOST_LINES = 10_000
# Printable ASCII without space and quote.
_PLAIN = re.compile(r"[!#-~]+")


class AccessRecord(msgspec.Struct, omit_defaults=True):
    """The line's fields, in their order; those that hold nothing are left out.

    Times are milliseconds from the request's head. `cause` says why a request failed, in one word.
    """

    time: str
    request_id: str
    client: str | None
    method: str
    path: str
    status: int | None
    total_ms: float
    bytes_in: int
    bytes_out: int
    key: str | None = None
    model: str | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    stream: bool = False
    first_byte_ms: float | None = None
    usage: dict[str, Any] | None = None
    session_id: str | None = None
    agent_id: str | None = None
    cause: str | None = None


class AccessLog:
    """Writes each exchange's line.

    Args:
        line_format: `json`, or `text`: the same fields as `name=value`.
        sink: takes a line, without its end; None: nothing is logged.
    """

    def __init__(self, line_format: Literal["json", "text"], sink: LineSink | None) -> None:
        self._sink = sink
        self._encode = msgspec.json.Encoder().encode if line_format == "json" else _text
        self._second = -1
        self._stamp = ""

    def write(self, exchange: Exchange) -> None:
        """Write the line of an exchange that has just ended."""
        if self._sink is None:
            return
        started, first_byte = exchange.started, exchange.first_byte
        record = AccessRecord(
            time=self._time(exchange.received_at),
            request_id=exchange.request_id,
            client=exchange.client,
            method=exchange.method,
            path=exchange.path,
            status=exchange.status,
            total_ms=round((time.monotonic() - started) * 1e3, 2),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            key=exchange.key,
            model=exchange.model,
            upstream=exchange.upstream,
            upstream_model=exchange.upstream_model,
            stream=exchange.stream,
            first_byte_ms=None if first_byte is None else round((first_byte - started) * 1e3, 2),
            usage=exchange.usage or None,
            session_id=exchange.session_id,
            agent_id=exchange.agent_id,
            cause=exchange.cause,
        )
        try:
            line = self._encode(record)
        except UnicodeEncodeError:
            line = self._encode(_encodable(record))
        self._sink(line)

    def _time(self, unix_s: float) -> str:
        second = int(unix_s)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((unix_s - second) * 1e3):03d}Z"


def _text(record: AccessRecord) -> bytes:
    fields = msgspec.to_builtins(record)
    head = [_shown(fields.pop(name)) for name in ("time", "method", "path", "status")]
    return b" ".join(
        [*head, *(name.encode() + b"=" + _shown(value) for name, value in fields.items())]
    )


def _shown(value: object) -> bytes:
    """Show a value so that it cannot break the line or fake another field: clients and upstreams choose some."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) is not None
    return str(value).encode() if plain else msgspec.json.encode(value)


def _encodable(record: AccessRecord) -> AccessRecord:
    texts = {
        name: encodable(value)
        for name, value in msgspec.structs.asdict(record).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(record, **texts)


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
            if len(self._lines) >= _MOST_LINES:
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
