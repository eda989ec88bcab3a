"""The log's way to standard error: floods are counted, nothing blocks, no request is kept alive."""

import gc
import json
import logging
import os
import pty
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from proxy.config import Log
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.telemetry.log import LogHandler, logging_to
from proxy.telemetry.looks import Look, look_for
from tests.unit.telemetry.shown import Pipe

FORMATS: list[Literal["auto", "json", "text"]] = ["auto", "json", "text"]


@pytest.fixture
def stream() -> Pipe:
    return Pipe()


@pytest.fixture
def log(stream: Pipe) -> Iterator[logging.Logger]:
    """Return a logger whose lines are in the stream once its handler is closed."""
    logger = logging.Logger("proxy.upstreams", logging.DEBUG)  # noqa: LOG001 - known to nobody else
    handler = LogHandler(stream, Look.TEXT)
    logger.addHandler(handler)
    yield logger
    handler.close()


def records(look: Look, stream: Pipe, *names: str) -> list[logging.Logger]:
    """Return loggers whose lines are in the stream at once."""
    handler = LogHandler(stream, look)
    loggers = [logging.Logger(name) for name in names]  # noqa: LOG001 - known to nobody else
    for logger in loggers:
        logger.addHandler(handler)
    return loggers


def close(log: logging.Logger) -> None:
    (handler,) = log.handlers
    handler.close()


def test_what_differs_in_its_arguments_only_is_counted(log: logging.Logger, stream: Pipe) -> None:
    for number in range(962):
        log.warning("request req_%d failed", number)
    close(log)
    assert stream.lines() == [
        "warning request req_0 failed",
        "warning request req_961 failed (repeated 961 times in 10 s)",
    ]


def test_a_line_that_came_twice_is_shown_as_it_is(log: logging.Logger, stream: Pipe) -> None:
    log.error("first %s", "a")
    log.error("first %s", "b %d (%s)")
    close(log)
    assert stream.lines() == ["error first a", "error first b %d (%s)"]


def test_upstreams_are_told_apart(log: logging.Logger, stream: Pipe) -> None:
    for name in ("a", "b") * 3:
        log.warning("upstream %s failed", name, extra=notice(Event.UPSTREAM_COOLS, name))
    close(log)
    assert stream.lines() == [
        "warning upstream a failed",
        "warning upstream b failed",
        "warning upstream a failed (repeated 2 times in 10 s)",
        "warning upstream b failed (repeated 2 times in 10 s)",
    ]


def test_debug_lines_are_all_shown(log: logging.Logger, stream: Pipe) -> None:
    for number in range(5):
        log.debug("step %d", number)
    close(log)
    assert len(stream.lines()) == 5


def test_lines_of_a_kind_are_known_by_their_first_line_and_may_be_no_text(
    log: logging.Logger, stream: Pipe
) -> None:
    for number in range(5):
        log.error("Task exception was never retrieved\nfuture: <Task at 0x%x>" % number)  # noqa: G002, UP031 - as asyncio does
        log.error(ValueError(number))
    close(log)
    assert stream.getvalue().count(b"repeated 4 times") == 2


def test_the_first_of_a_flood_has_its_traceback_and_no_other_keeps_frames_alive(
    log: logging.Logger, stream: Pipe
) -> None:
    class Body:
        pass

    seen = []

    def fail() -> None:
        body = Body()
        seen.append(weakref.ref(body))
        raise ValueError

    for _ in range(3):
        try:
            fail()
        except ValueError:
            log.exception("a defect")
    gc.collect()
    assert [each() for each in seen] == [None] * 3
    close(log)
    assert stream.getvalue().count(b"Traceback") == 1


def test_half_a_surrogate_pair_is_shown(log: logging.Logger, stream: Pipe) -> None:
    log.warning("odd %s", "\ud800")
    close(log)
    assert stream.lines() == [r"warning odd \ud800"]


def test_a_line_that_cannot_be_shown_harms_nobody(log: logging.Logger, stream: Pipe) -> None:
    for _ in range(3):
        log.warning("%d files", "many")
    log.warning("%d files", 3)
    close(log)
    assert stream.lines()[0] == ("error a line of proxy.upstreams cannot be shown: '%d files'")
    assert "warning 3 files" in stream.lines()


def test_a_line_of_json_has_its_time_in_utc_its_level_its_logger_and_its_message(
    stream: Pipe,
) -> None:
    (log,) = records(Look.JSON, stream, "asyncio")
    record = log.makeRecord("asyncio", logging.WARNING, "f", 1, "odd\n%s \ud800", ("x",), None)
    record.created = 1_795_000_000.25
    log.handle(record)
    close(log)
    assert stream.decoded() == [
        {
            "time": "2026-11-18T11:06:40.250Z",
            "level": "warning",
            "logger": "asyncio",
            "message": "odd\nx ?",
        }
    ]


def test_an_exception_is_a_field_of_a_line_of_json(stream: Pipe) -> None:
    (log,) = records(Look.JSON, stream, "proxy.api")
    log.error("a defect", exc_info=ValueError("why"))
    close(log)
    (line,) = stream.decoded()
    assert line["message"] == "a defect"
    assert line["exception"] == "ValueError: why"


def test_text_has_the_time_of_day_in_utc_and_names_who_else_speaks(stream: Pipe) -> None:
    ours, theirs = records(Look.TEXT, stream, "anyrouter", "asyncio")
    for log in (ours, theirs):
        record = log.makeRecord(log.name, logging.ERROR, "f", 1, "stopped", (), None)
        record.created = 1_795_000_000.25
        log.handle(record)
    close(ours)
    assert stream.getvalue() == b"11:06:40 error stopped\n11:06:40 error asyncio: stopped\n"


def test_what_python_itself_prints_is_logged_too(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    class Odd:
        def __del__(self) -> None:
            raise ValueError("in passing")

    path = tmp_path / "log"
    handlers = logging.root.handlers[:]
    with path.open("wb", buffering=0) as file, logging_to(file, Log(format="json")):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Odd()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line.get("exception", "").splitlines()[-1] for line in lines[:2]] == [
        "ValueError: in a thread",
        "ValueError: in passing",
    ]
    assert "DeprecationWarning: old" in lines[2]["message"]


def test_a_look_is_that_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    terminal, other = pty.openpty()
    reading, writing = os.pipe()
    with (
        os.fdopen(other, "wb", buffering=0) as screen,
        os.fdopen(writing, "wb", buffering=0) as pipe,
    ):
        assert [look_for(each, screen) for each in FORMATS] == [
            *(Look.COLOURED, Look.JSON, Look.COLOURED),
        ]
        assert [look_for(each, pipe) for each in FORMATS] == [Look.JSON, Look.JSON, Look.TEXT]
        monkeypatch.setenv("NO_COLOR", "1")
        assert look_for("auto", screen) is Look.TEXT
        monkeypatch.setenv("NO_COLOR", "")
        monkeypatch.setenv("TERM", "dumb")
        assert look_for("auto", screen) is Look.TEXT
    os.close(terminal)
    os.close(reading)
