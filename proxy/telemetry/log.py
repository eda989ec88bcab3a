"""The log on standard error: written by a thread, so that the event loop never waits for whoever reads it."""

import contextlib
import logging
import math
import time
from collections.abc import Hashable, Iterator

from proxy.telemetry.floods import WINDOW_S, Floods
from proxy.telemetry.sink import BufferedSink, RawStream

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogHandler(logging.Handler):
    """Hands log lines to a sink, the first of a kind at once; of a flood only the last one and their number.

    Lines are of one kind when their logger, their text before arguments are filled in, and `extra={"upstream": …}`
    are the same. Debug lines are all shown.
    """

    def __init__(self, stream: RawStream) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
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
def logging_to(stream: RawStream, level: str) -> Iterator[None]:
    """Send the log of this process, access lines apart, to a stream inside the context."""
    handler = LogHandler(stream)
    # In a worker the handler that was there is its parent's: its thread and its locks stayed in the parent.
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    logging.getLogger("anyrouter").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        handler.close()
