"""The log on standard error: written by a thread, so that the event loop never waits for whoever reads it."""

import contextlib
import logging
import math
import sys
import threading
import time
from collections.abc import Hashable, Iterator

import msgspec

from proxy.config import Log
from proxy.errors import encodable
from proxy.telemetry.floods import WINDOW_S, Floods
from proxy.telemetry.looks import Clock, Look, look_for
from proxy.telemetry.rows import log_row
from proxy.telemetry.sink import BufferedSink, RawStream

_log = logging.getLogger(__name__)

# Whose name says nothing to an operator.
_OURS = ("anyrouter", "proxy")


class LogLine(msgspec.Struct, omit_defaults=True):
    """A line's fields as JSON. `exception` is a traceback."""

    time: str
    level: str
    logger: str
    message: str
    exception: str | None = None


class Formatter(logging.Formatter):
    """Makes a line of a record."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._clock = Clock()

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, as JSON or as text."""
        time, level, message = (
            self._clock(record.created),
            record.levelname.lower(),
            record.getMessage(),
        )
        exception = self.formatException(record.exc_info) if record.exc_info else None
        if self._look is Look.JSON:
            line = LogLine(
                time, level, record.name, encodable(message), exception and encodable(exception)
            )
            return msgspec.json.encode(line).decode()
        said = message if record.name.partition(".")[0] in _OURS else f"{record.name}: {message}"
        row = log_row(time, level, said, coloured=self._look is Look.COLOURED)
        return row if exception is None else f"{row}\n{exception}"


class LogHandler(logging.Handler):
    """Hands log lines to a sink, the first of a kind at once; of a flood only the last one and their number.

    Lines are of one kind when their logger, their text before arguments are filled in, and `extra={"upstream": …}`
    are the same. Debug lines are all shown.
    """

    def __init__(self, stream: RawStream, look: Look) -> None:
        super().__init__()
        self.setFormatter(Formatter(look))
        self._floods = Floods[logging.LogRecord]()
        self._sink = BufferedSink(stream, "log", gather_s=0.0, more=self._due)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, or count it. One that cannot be shown is no failure of whoever logs it."""
        try:
            self._show(record)
        except Exception:  # noqa: BLE001 - as `logging`'s own handlers do, but for the traceback on a blocking file
            text = f"a line of {record.name} cannot be shown: {record.msg!r}"
            self._show(
                logging.makeLogRecord(
                    {"name": __name__, "levelno": logging.ERROR, "levelname": "ERROR", "msg": text}
                )
            )

    def _show(self, record: logging.LogRecord) -> None:
        if record.levelno > logging.DEBUG:
            kind = _kind(record)
            if not self._floods.is_first(kind, time.monotonic()):
                self._floods.count(kind, _without_traceback(record))
                return
        self._sink(self._line(record))

    def close(self) -> None:
        """Write what is left, and what was counted."""
        for line in self._due(math.inf):
            self._sink(line)
        self._sink.close()
        super().close()

    def _due(self, now: float | None = None) -> list[bytes]:
        with self.lock or contextlib.nullcontext():
            due = self._floods.due(time.monotonic() if now is None else now)
        return [self._line(_with_count(record, count)) for record, count in due]

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode(errors="backslashreplace")


def _kind(record: logging.LogRecord) -> Hashable:
    # asyncio's own errors have a first line that says what happened, and then objects with their addresses.
    text = record.msg.partition("\n")[0] if isinstance(record.msg, str) else type(record.msg)
    return record.name, text, getattr(record, "upstream", None)


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that keeps no frames alive, and with them requests."""
    plain = {"msg": record.getMessage(), "args": None, "exc_info": None, "exc_text": None}
    return logging.makeLogRecord({**record.__dict__, **plain})


def _with_count(record: logging.LogRecord, count: int) -> logging.LogRecord:
    if count > 1:
        record.msg = f"{record.msg} (repeated {count} times in {WINDOW_S:g} s)"
    return record


@contextlib.contextmanager
def logging_to(stream: RawStream, settings: Log) -> Iterator[Look]:
    """Send the log of this process, access lines apart, to a stream inside the context; yields how lines look."""
    look = look_for(settings.format, stream)
    handler = LogHandler(stream, look)
    # In a worker the handler that was there is its parent's: its thread and its locks stayed in the parent.
    logging.root.handlers[:] = [handler]
    set_level(settings)
    logging.captureWarnings(capture=True)
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _log_thread, _log_unraisable
    try:
        yield look
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        handler.close()


def set_level(settings: Log) -> None:
    """Show the lines of this process from the level on that the settings name."""
    level = settings.level.upper()
    logging.root.setLevel(level)
    logging.getLogger("anyrouter").setLevel(level)


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log.error("a thread ended: a defect", exc_info=args.exc_value)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    _log.error("%s: a defect", args.err_msg or "an exception in passing", exc_info=args.exc_value)
