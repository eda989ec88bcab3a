"""The log on standard error: written by a thread, so that the event loop never waits for whoever reads it."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator

import msgspec

from proxy.config import Log
from proxy.errors import encodable
from proxy.notices.events import Event
from proxy.notices.notice import Notice
from proxy.telemetry.floods import WINDOW_S, Floods, Folded
from proxy.telemetry.looks import Clock, Look, look_for
from proxy.telemetry.rows import log_row
from proxy.telemetry.sink import BufferedSink, RawStream

_log = logging.getLogger(__name__)

# Whose name says nothing to an operator.
_OURS = ("anyrouter", "proxy")


class LogLine(msgspec.Struct, omit_defaults=True):
    """A line's fields as JSON.

    Attributes:
        exception: a traceback.
        event, subject, model, id, request_id, do: as `Notice` says, of a line that warns of something.
        repeated: how many lines this one stands for, when it is the last of several.
        total: how many there were, when that is over.
    """

    time: str
    level: str
    logger: str
    message: str
    exception: str | None = None
    event: str = ""
    subject: str = ""
    model: str = ""
    id: str = ""
    request_id: str = ""
    do: str = ""
    repeated: int = 1
    total: int = 0


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
            _fill(line, record)
            return msgspec.json.encode(line).decode()
        said = message if record.name.partition(".")[0] in _OURS else f"{record.name}: {message}"
        row = log_row(time, level, said, coloured=self._look is Look.COLOURED)
        return row if exception is None else f"{row}\n{exception}"


class LogHandler(logging.Handler):
    """Hands log lines to a sink, the first of a kind at once; of a flood only the last one and their number.

    Lines are of one kind when their logger, their text before arguments are filled in, and what their notices are about
    are the same. What is only counted of a kind comes before the line that says it is over. Debug lines are all shown.

    Args:
        stream: to write to.
        look: of the lines.
        clock: any that goes on, in seconds.
    """

    def __init__(
        self, stream: RawStream, look: Look, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.setFormatter(Formatter(look))
        self._clock = clock
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
            said = notice_of(record)
            if not self._floods.take(_kind(record, said), _plain(record, said), self._clock()):
                return
            if said is not None and said.may_end:
                ended = self._floods.end(
                    lambda kind: isinstance(kind, tuple) and said.ends(kind[0])
                )
                for folded in ended:
                    self._sink(self._line(_told(folded, self._clock())))
        self._sink(self._line(record))

    def close(self) -> None:
        """Write what is left, and what was counted."""
        for folded in self._floods.end(lambda _: True):
            self._sink(self._line(_told(folded, self._clock())))
        self._sink.close()
        super().close()

    def _due(self) -> list[bytes]:
        now = self._clock()
        with self.lock or contextlib.nullcontext():
            due = self._floods.due(now)
        return [self._line(_told(folded, now)) for folded in due]

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode(errors="backslashreplace")


def notice_of(record: logging.LogRecord) -> Notice | None:
    """Return what a line warns of; None: it only tells something. A traceback of ours is a defect."""
    said = getattr(record, "notice", None)
    if said is None and record.exc_info:
        return Notice(Event.DEFECT)
    return said if isinstance(said, Notice) else None


def _fill(line: LogLine, record: logging.LogRecord) -> None:
    """Give a line what its record warns of, and how often."""
    if (said := notice_of(record)) is not None:
        line.event, line.subject, line.model, line.id, line.request_id = map(encodable, said)
        line.do = encodable(said.do)
    line.repeated, line.total = getattr(record, "repeated", 1), getattr(record, "total", 0)


def _kind(record: logging.LogRecord, said: Notice | None) -> Hashable:
    # asyncio's own errors have a first line that says what happened, and then objects with their addresses.
    text = record.msg.partition("\n")[0] if isinstance(record.msg, str) else type(record.msg)
    return None if said is None else said.kind, record.name, text


def _plain(record: logging.LogRecord, said: Notice | None) -> logging.LogRecord:
    """Return a record that keeps no frames alive, and with them requests."""
    plain = {"msg": record.getMessage(), "args": None, "exc_info": None, "exc_text": None}
    return logging.makeLogRecord({**record.__dict__, **plain, "notice": said})


def _told(folded: Folded[logging.LogRecord], now: float) -> logging.LogRecord:
    """Return the line that stands for those that were counted, or says that none has come for a while."""
    record, said = folded.line, folded.line.msg
    told: dict[str, object] = {}
    if not folded.repeated:
        over_s = now - folded.first_s
        told = {
            "msg": f"not seen again for {WINDOW_S:g} s, after {folded.total} times in {over_s:.0f} s: {said}",
            "total": folded.total,
        }
    elif folded.repeated > 1:
        told = {
            "msg": f"{said} (repeated {folded.repeated} times in {WINDOW_S:g} s)",
            "repeated": folded.repeated,
        }
    return logging.makeLogRecord({**record.__dict__, **told})


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
