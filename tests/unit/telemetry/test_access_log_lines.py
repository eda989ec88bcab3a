"""A request's line: complete, in order, one line, whatever its values; written without holding the loop."""

import asyncio
import re
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Key, Model
from proxy.exchange import Exchange, Received
from proxy.routing.router import Route
from proxy.telemetry.access_log import AccessLog, AccessRecord

FORMATS: list[Literal["json", "text"]] = ["json", "text"]
TEXTS = ("request_id", "client", "method", "path", "key", "model", "upstream", "upstream_model")
MORE_TEXTS = ("upstream_request_id", "session_id", "agent_id", "cause")


def _exchange(**values: Any) -> Exchange:
    """Return an exchange that has ended; `values` by the names of the line's fields."""
    head: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/messages",
        "client": "::1",
        "id": "req_1",
    }
    head |= {name: values.pop(name) for name in (*head, "at_unix_s") if name in values}
    exchange = Exchange(Received(**{"at_unix_s": 1_795_000_000.25, **head}, started_s=100.0))
    if "key" in values:
        exchange.key = Key(name=values.pop("key"), sha256="")
    if "upstream" in values:
        model = Model("anthropic/m", "a")
        exchange.route = Route(values.pop("upstream"), values.pop("upstream_model"), model, "m")
    for name, value in values.items():
        setattr(exchange, name, value)
    return exchange


def line(line_format: Literal["json", "text"], **values: Any) -> bytes:
    async def written() -> bytes:
        lines: list[bytes] = []
        AccessLog(line_format, lines.append).ended(_exchange(**values))
        (only,) = lines
        return only

    return asyncio.run(written())


FULL: dict[str, Any] = {
    "status": 200,
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
    "session_id": "s",
    "agent_id": "g",
    "cause": "client_closed",
}


def test_a_json_line_has_every_field_in_order() -> None:
    decoded = msgspec.json.decode(line("json", **FULL))
    assert list(decoded) == list(AccessRecord.__struct_fields__)
    assert decoded["time"] == "2026-11-18T11:06:40.250Z"
    assert decoded["first_byte_ms"] == 500
    assert {name: decoded[name] for name in FULL if name != "first_byte_s"} == {
        name: value for name, value in FULL.items() if name != "first_byte_s"
    }


def test_fields_that_hold_nothing_are_left_out() -> None:
    decoded = msgspec.json.decode(line("json", status=404, usage={}))
    assert list(decoded) == [
        *("time", "request_id", "client", "method", "path", "status", "total_ms"),
        *("bytes_in", "bytes_out"),
    ]


def test_a_text_line_begins_with_time_method_path_and_status() -> None:
    text = line("text", **FULL).decode()
    assert text.startswith("2026-11-18T11:06:40.250Z POST /v1/messages 200 request_id=req_1 ")
    assert text.endswith(
        "bytes_in=7 bytes_out=9 key=laptop model=anthropic/m upstream=a upstream_model=m "
        'upstream_request_id=req_2 stream=true first_byte_ms=500.0 usage={"input_tokens":1} '
        "session_id=s agent_id=g cause=client_closed"
    )


def test_times_of_one_second_and_of_the_next_are_told_apart() -> None:
    async def stamps() -> list[str]:
        lines: list[bytes] = []
        log = AccessLog("json", lines.append)
        for at_unix_s in (0.0, 0.999, 1.5):
            log.ended(_exchange(at_unix_s=at_unix_s))
        return [msgspec.json.decode(each)["time"][-8:] for each in lines]

    assert asyncio.run(stamps()) == [":00.000Z", ":00.999Z", ":01.500Z"]


_hostile = st.text(st.characters() | st.sampled_from(' \n\r\t"=\\\0\udcff\u2028'), max_size=12)


@given(st.fixed_dictionaries(dict.fromkeys((*TEXTS, *MORE_TEXTS), _hostile)))
def test_no_value_can_break_a_json_line(values: dict[str, str]) -> None:
    written = line("json", **values)
    assert b"\n" not in written
    decoded = msgspec.json.decode(written)
    for name, value in values.items():
        assert decoded[name] == value.encode(errors="replace").decode()


_FIELD = re.compile(rb'(\w+)=((?:[!#-~]+)|"(?:[^"\\]|\\.)*"|null)(?: |$)')


@given(st.fixed_dictionaries(dict.fromkeys((*TEXTS, *MORE_TEXTS), _hostile)))
def test_no_value_can_break_a_text_line_or_fake_a_field(values: dict[str, str]) -> None:
    written = line("text", **values)
    assert b"\n" not in written
    assert b"\r" not in written
    fields = written[written.index(b" request_id=") + 1 :]
    found = dict[str, str]()
    while fields:
        match = _FIELD.match(fields)
        assert match
        raw = match[2]
        found[match[1].decode()] = msgspec.json.decode(raw) if raw[:1] == b'"' else raw.decode()
        fields = fields[match.end() :]
    assert set(found) <= set(AccessRecord.__struct_fields__)
    for name in (*TEXTS, *MORE_TEXTS):
        if name not in ("method", "path"):
            assert found[name] == values[name].encode(errors="replace").decode()


@pytest.mark.parametrize("line_format", FORMATS)
def test_a_path_that_is_not_utf8_is_logged(line_format: Literal["json", "text"]) -> None:
    assert b"/?" in line(line_format, path="/\udcff")


@pytest.mark.parametrize("line_format", FORMATS)
def test_half_a_surrogate_pair_anywhere_in_the_usage_is_logged(
    line_format: Literal["json", "text"],
) -> None:
    usage = {"service_tier": "\ud83d", "iterations": [{"\udc00": ["\ud83d", None, 1.5]}]}
    written = line(line_format, usage=usage)
    assert b'{"service_tier":"?","iterations":[{"?":["?",null,1.5]}]}' in written


def test_without_a_sink_nothing_is_logged() -> None:
    async def written() -> None:
        AccessLog("json", None).ended(_exchange())

    asyncio.run(written())
