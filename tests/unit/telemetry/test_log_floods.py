"""Many lines of one kind: a few are shown, with what to do, and the others counted."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.causes import Cause
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.telemetry.log import LogHandler
from proxy.telemetry.looks import Look
from tests.unit.telemetry.shown import Pipe


class Handed:
    """A logger whose lines come out at times that a test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = Pipe()
        self.handler = LogHandler(self.stream, Look.JSON, lambda: self.now)
        self.log = logging.Logger("proxy.upstreams")  # noqa: LOG001 - known to nobody else
        self.log.addHandler(self.handler)

    def closed(self) -> list[dict[str, Any]]:
        """Return all lines, once the handler is closed."""
        self.handler.close()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def fails(self, number: int, upstream: str = "a") -> None:
        """Log a failure of an upstream."""
        ids = f"req_{number}", f"req_{number}"
        about = notice(Cause.UPSTREAM_UNREACHABLE, upstream, ids=ids)
        self.log.warning("%s: upstream %s: refused", ids[0], upstream, extra=about)

    def next_window(self) -> None:
        """Let ten seconds pass."""
        self.now += 10.0
        for line in self.handler._due():
            self.handler._sink(line)


@pytest.fixture
def handed() -> Iterator[Handed]:
    made = Handed()
    yield made
    made.handler.close()


def test_ten_thousand_failures_in_ten_seconds_are_three_lines_with_ids_and_advice(
    handed: Handed,
) -> None:
    for number in range(10_000):
        handed.now = number / 1001
        handed.fails(number)
    handed.next_window()
    handed.next_window()
    handed.next_window()
    first, folded, over = handed.closed()
    assert [each["id"] for each in (first, folded, over)] == ["req_0", "req_9999", "req_9999"]
    assert first.get("repeated", 1) + folded["repeated"] == over["total"] == 10_000
    assert over["message"].startswith("not seen again for 10 s, after 10000 times in ")
    for line in (first, folded, over):
        assert line["event"] == "upstream_unreachable"
        assert line["subject"] == "a"
        assert "the base_url of a" in line["do"]
        assert line["request_id"] == line["id"]


def test_what_was_only_counted_stands_above_the_line_that_says_it_is_over(handed: Handed) -> None:
    for number in range(3):
        handed.fails(number)
        handed.fails(number, "b")
    handed.log.warning("upstream a is back", extra=notice(Event.UPSTREAM_BACK, "a"))
    handed.fails(4)
    said = [(each["subject"], each["message"]) for each in handed.closed()]
    assert said == [
        ("a", "req_0: upstream a: refused"),
        ("b", "req_0: upstream b: refused"),
        ("a", "req_2: upstream a: refused (repeated 2 times in 10 s)"),
        ("a", "upstream a is back"),
        ("a", "req_4: upstream a: refused"),
        ("b", "req_2: upstream b: refused (repeated 2 times in 10 s)"),
    ]


def test_a_traceback_is_a_defect_to_report_and_a_line_that_warns_of_nothing_has_no_event(
    handed: Handed,
) -> None:
    for _ in range(3):
        handed.log.error("odd", exc_info=ValueError("why"))
    handed.log.warning("something else")
    first, other, folded = handed.closed()
    assert (first["event"], first["do"]) == ("defect", "report the traceback")
    assert (folded["event"], folded["repeated"]) == ("defect", 2)
    assert not {"event", "do", "id"} & set(other)
