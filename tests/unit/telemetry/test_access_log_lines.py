"""A request's line: complete, in order, one line, whatever its values; written without holding the loop."""

import asyncio
import logging
import re
from typing import Any

import msgspec
import pytest

from proxy.causes import Cause
from proxy.config import Key, Log
from proxy.telemetry.access_log import AccessLog, AccessRecord
from proxy.telemetry.looks import Look
from tests.unit.telemetry.access_lines import ended_exchange, line, lines


def row(**values: Any) -> str:
    return line(Look.TEXT, **values).decode()


FULL: dict[str, Any] = {
    "status": 200,
    "id": "req_0",
    "request_id": "req_1",
    "first_byte_s": 100.5,
    "bytes_in": 7,
    "bytes_out": 9,
    "key": "laptop",
    "model": "anthropic/m",
    "upstream": "a",
    "upstream_model": "m",
    "upstream_request_id": "req_2",
    "stream": True,
    "usage": {"input_tokens": 1},
    "cost_micros": 1234,
    "usage_source": "partial",
    "session_id": "s",
    "agent_id": "g",
    "client_product": "claude-cli",
    "client_version": "2.1.330",
    "cause": "upstream_error",
    "error_type": "overloaded_error",
    "detail": "messages.0.role",
    "retry_after": 3,
    "pool": "p",
    "away": True,
    "affinity": "session",
    "attempts": [
        {"upstream": "b", "ms": 1.5, "status": 529},
        {"upstream": "a", "ms": 2.0, "status": 200, "request_id": "req_2"},
    ],
}


SERVED: dict[str, Any] = {
    "status": 200,
    "key": "laptop",
    "model": "anthropic/m",
    "upstream": "a",
    "upstream_model": "m",
}


def test_a_json_line_has_every_field_in_order() -> None:
    decoded = msgspec.json.decode(line(Look.JSON, **FULL))
    assert list(decoded) == list(AccessRecord.__struct_fields__)
    assert decoded["time"] == "2026-11-18T11:06:40.250Z"
    assert decoded["first_byte_ms"] == 500
    assert {name: decoded[name] for name in FULL if name != "first_byte_s"} == {
        name: value for name, value in FULL.items() if name != "first_byte_s"
    }


def test_what_cost_nothing_says_so() -> None:
    decoded = msgspec.json.decode(line(Look.JSON, cost_micros=0, usage_source="none"))
    assert (decoded["cost_micros"], decoded["usage_source"]) == (0, "none")


def test_fields_that_hold_nothing_are_left_out() -> None:
    decoded = msgspec.json.decode(line(Look.JSON, status=404, usage={}))
    assert list(decoded) == [
        *("time", "level", "request_id", "client", "method", "path", "status", "total_ms"),
        *("bytes_in", "bytes_out"),
    ]


# The duration is that of a clock that has gone on: any.
ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "a message": (
        {**SERVED, "path": "/api/v1/messages", "usage": {"input_tokens": 9, "output_tokens": 4}},
        "11:06:40 200 POST messages m laptop … 9→4 tok",
    ),
    "cached input is input, too": (
        {**SERVED, "usage": {"input_tokens": 2, "cache_read_input_tokens": 70, "output_tokens": 1}},
        "11:06:40 200 POST messages m laptop … 72→1 tok",
    ),
    "a count": (
        {**SERVED, "path": "/v1/v1/messages/count_tokens", "usage": None},
        "11:06:40 200 POST messages/count_tokens m laptop …",
    ),
    "a message with its cost": (
        {
            **SERVED,
            "usage": {"input_tokens": 9, "output_tokens": 4},
            "cost_micros": 1_234_560,
            "usage_source": "reported",
        },
        "11:06:40 200 POST messages m laptop … 9→4 tok $1.2346",
    ),
    **{
        f"a cost of {micros} millionths": (
            {**SERVED, "cost_micros": micros, "usage_source": "reported"},
            f"11:06:40 200 POST messages m laptop … {told}",
        )
        for micros, told in (
            (1, "<$0.0001"),
            (49, "<$0.0001"),
            (50, "$0.0001"),
            (999_960, "$1.0000"),
        )
    },
    "a message that cost nothing": (
        {**SERVED, "usage": {"input_tokens": 9}, "cost_micros": 0, "usage_source": "reported"},
        "11:06:40 200 POST messages m laptop … 9→0 tok",
    ),
    "a usage that is none": (
        {**SERVED, "usage": {"input_tokens": "x"}},
        "11:06:40 200 POST messages m laptop …",
    ),
    "nothing known": (
        {"status": 404, "method": "GET", "path": "/favicon.ico", "cause": "not_found"},
        "11:06:40 404 GET /favicon.ico … not_found req_1",
    ),
    "a client that left": (
        {**SERVED, "status": None, "cause": "client_closed"},
        "11:06:40 --- POST messages m laptop … client_closed req_1",
    ),
    "a refusal": (
        {
            **SERVED,
            "status": 400,
            "cause": "invalid_request",
            "error_type": "invalid_request_error",
            "detail": "messages.0.role",
            "client_product": "claude-cli",
            "client_version": "2.1.330",
        },
        "11:06:40 400 POST messages m laptop … invalid_request req_1 messages.0.role claude-cli/2.1.330",
    ),
    "an error of the upstream": (
        {**SERVED, "status": 529, "cause": "upstream_error", "error_type": "overloaded_error"},
        "11:06:40 529 POST messages m laptop … upstream_error overloaded_error req_1",
    ),
}


@pytest.mark.parametrize(("values", "expected"), ROWS.values(), ids=ROWS)
def test_a_row_of_text_says_what_a_person_wants_to_know(
    values: dict[str, Any], expected: str
) -> None:
    before, after = (re.escape(part) for part in expected.split("…"))
    assert re.fullmatch(rf"{before}\d+(?:\.\d)? m?s{after}", row(**values)), row(**values)


@pytest.mark.parametrize(
    ("status", "cause", "level"),
    [
        (200, None, "info"),
        (404, "not_found", "warning"),
        (429, "upstream_error", "warning"),
        (502, "upstream_cut", "error"),
        (529, "draining", "error"),
        (None, Cause.CLIENT_CLOSED, "info"),
        (200, Cause.CLIENT_CLOSED, "info"),
        (200, Cause.CLIENT_STALLED, "warning"),
        (200, Cause.UPSTREAM_CUT, "error"),
    ],
)
def test_a_4xx_is_a_warning_and_a_5xx_or_a_broken_stream_an_error(
    status: int | None, cause: str | None, level: str
) -> None:
    decoded = msgspec.json.decode(line(Look.JSON, status=status, cause=cause))
    assert decoded["level"] == level


@pytest.mark.parametrize(("least", "kept"), [(10, [200, 404, 502]), (30, [404, 502]), (40, [502])])
def test_lines_below_the_least_level_are_not_written(least: int, kept: list[int]) -> None:
    async def written() -> list[int]:
        found: list[bytes] = []
        log = AccessLog(found.append, Log(), Look.JSON, least)
        for status, cause in ((200, None), (404, Cause.NOT_FOUND), (502, Cause.UPSTREAM_CUT)):
            log.ended(ended_exchange(status=status, cause=cause))
        return [msgspec.json.decode(each)["status"] for each in found]

    assert asyncio.run(written()) == kept


def test_a_logger_gets_each_line_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    async def written() -> None:
        log = AccessLog(logging.getLogger("host"), Log())
        for status, cause in ((200, None), (404, Cause.NOT_FOUND), (502, Cause.UPSTREAM_CUT)):
            log.ended(ended_exchange(status=status, cause=cause))

    with caplog.at_level(logging.INFO, "host"):
        asyncio.run(written())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "ERROR"]
    assert all(msgspec.json.decode(record.getMessage()) for record in caplog.records)


PROBE: dict[str, Any] = {"path": "/healthz", "is_probe": True, "status": 200}


def test_a_probe_is_logged_when_it_fails_or_a_setting_asks_for_it() -> None:
    assert lines(Log(), **PROBE) == []
    assert len(lines(Log(probes=True), **PROBE)) == 1
    assert len(lines(Log(), **{**PROBE, "status": 500, "cause": Cause.INTERNAL})) == 1


SAID: dict[str, Any] = {"status": 400, "cause": "invalid_request"}


@pytest.mark.parametrize(
    ("detail", "message", "shown"),
    [
        ("system", "system: must be short", "system: must be short"),
        ("expired", "invalid gateway key", "expired: invalid gateway key"),
        (None, "Overloaded", "Overloaded"),
    ],
)
def test_what_errors_say_is_logged_when_a_setting_asks_for_it(
    detail: str | None, message: str, shown: str
) -> None:
    values = {**SAID, "detail": detail, "error_message": message}
    (quiet,), (open_,) = lines(Log(), **values), lines(Log(error_messages=True), **values)
    assert msgspec.json.decode(quiet).get("detail") == detail
    assert msgspec.json.decode(open_)["detail"] == shown


def test_the_name_of_a_key_that_has_expired_is_logged() -> None:
    decoded = msgspec.json.decode(line(Look.JSON, status=401, refused_key=Key("laptop")))
    assert decoded["key"] == "laptop"


def test_times_of_one_second_and_of_the_next_are_told_apart() -> None:
    async def stamps() -> list[str]:
        lines: list[bytes] = []
        log = AccessLog(lines.append, Log(), Look.JSON)
        for at_unix_s in (0.0, 0.999, 1.5):
            log.ended(ended_exchange(at_unix_s=at_unix_s))
        return [msgspec.json.decode(each)["time"][-8:] for each in lines]

    assert asyncio.run(stamps()) == [":00.000Z", ":00.999Z", ":01.500Z"]
