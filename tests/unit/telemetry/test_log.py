"""The log's way to standard error: floods are counted, nothing blocks, no request is kept alive."""

import gc
import io
import logging
import weakref
from collections.abc import Iterator

import pytest

from proxy.telemetry.log import LogHandler


class Pipe(io.BytesIO):
    def lines(self) -> list[str]:
        """Return the lines without their times."""
        return [line.split(" ", 2)[2] for line in self.getvalue().decode().splitlines()]


@pytest.fixture
def stream() -> Pipe:
    return Pipe()


@pytest.fixture
def log(stream: Pipe) -> Iterator[logging.Logger]:
    """Return a logger whose lines are in the stream once its handler is closed."""
    logger = logging.Logger("proxy.upstreams", logging.DEBUG)  # noqa: LOG001 - known to nobody else
    handler = LogHandler(stream)
    logger.addHandler(handler)
    yield logger
    handler.close()


def close(log: logging.Logger) -> None:
    (handler,) = log.handlers
    handler.close()


def test_what_differs_in_its_arguments_only_is_counted(log: logging.Logger, stream: Pipe) -> None:
    for number in range(962):
        log.warning("request req_%d failed", number)
    close(log)
    assert stream.lines() == [
        "WARNING proxy.upstreams: request req_0 failed",
        "WARNING proxy.upstreams: request req_961 failed (repeated 961 times in 10 s)",
    ]


def test_a_line_that_came_twice_is_shown_as_it_is(log: logging.Logger, stream: Pipe) -> None:
    log.error("first %s", "a")
    log.error("first %s", "b %d (%s)")
    close(log)
    assert [line.split(": ")[1] for line in stream.lines()] == ["first a", "first b %d (%s)"]


def test_upstreams_are_told_apart(log: logging.Logger, stream: Pipe) -> None:
    for name in ("a", "b") * 3:
        log.warning("upstream %s failed", name, extra={"upstream": name})
    close(log)
    assert [line.split(": ")[1] for line in stream.lines()] == [
        "upstream a failed",
        "upstream b failed",
        "upstream a failed (repeated 2 times in 10 s)",
        "upstream b failed (repeated 2 times in 10 s)",
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
    assert stream.lines() == [r"WARNING proxy.upstreams: odd \ud800"]


def test_a_line_that_cannot_be_shown_harms_nobody(log: logging.Logger, stream: Pipe) -> None:
    for _ in range(3):
        log.warning("%d files", "many")
    log.warning("%d files", 3)
    close(log)
    assert stream.lines()[0] == (
        "ERROR proxy.telemetry.log: a line of proxy.upstreams cannot be shown: '%d files'"
    )
    assert "WARNING proxy.upstreams: 3 files" in stream.lines()
