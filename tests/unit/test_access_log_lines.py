"""A request's line: complete, in order, one line, whatever its values; written without holding the loop."""

import asyncio
import io
import logging
import os
import re
import threading
import time
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access_log import AccessLog, AccessRecord, BufferedSink
from proxy.exchange import Exchange

FORMATS: list[Literal["json", "text"]] = ["json", "text"]
TEXTS = ("request_id", "client", "method", "path", "key", "model", "upstream", "upstream_model")
MORE_TEXTS = ("session_id", "agent_id", "cause")


def _exchange(**values: Any) -> Exchange:
    exchange = Exchange(method="POST", path="/v1/messages", client="::1")
    exchange.request_id = "req_1"
    exchange.received_at = 1_795_000_000.25
    exchange.started = 100.0
    for name, value in values.items():
        setattr(exchange, name, value)
    return exchange


def line(line_format: Literal["json", "text"], **values: Any) -> bytes:
    async def written() -> bytes:
        lines: list[bytes] = []
        AccessLog(line_format, lines.append).write(_exchange(**values))
        (only,) = lines
        return only

    return asyncio.run(written())


FULL: dict[str, Any] = {
    "status": 200,
    "first_byte": 100.5,
    "bytes_in": 7,
    "bytes_out": 9,
    "key": "laptop",
    "model": "anthropic/m",
    "upstream": "a",
    "upstream_model": "m",
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
    assert {name: decoded[name] for name in FULL if name != "first_byte"} == {
        name: value for name, value in FULL.items() if name != "first_byte"
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
        "bytes_in=7 bytes_out=9 key=laptop model=anthropic/m upstream=a upstream_model=m stream=true "
        'first_byte_ms=500.0 usage={"input_tokens":1} session_id=s agent_id=g cause=client_closed'
    )


def test_times_of_one_second_and_of_the_next_are_told_apart() -> None:
    async def stamps() -> list[str]:
        lines: list[bytes] = []
        log = AccessLog("json", lines.append)
        for received_at in (0.0, 0.999, 1.5):
            log.write(_exchange(received_at=received_at))
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


def test_without_a_sink_nothing_is_logged() -> None:
    async def written() -> None:
        AccessLog("json", None).write(_exchange())

    asyncio.run(written())


class Stream(io.BytesIO):
    """Notes who writes, and says when `wanted` bytes have come."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted
        self.threads: set[str] = set()
        self.flushed = 0
        self.loop = asyncio.get_running_loop()
        self.full = asyncio.Event()

    def flush(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.flushed += 1
        if len(self.getvalue()) >= self.wanted:
            self.loop.call_soon_threadsafe(self.full.set)


async def test_lines_are_gathered_and_written_in_order_by_another_thread() -> None:
    lines = [b"line %d" % i for i in range(100)]
    stream = Stream(len(b"\n".join([*lines, b""])))
    sink = BufferedSink(stream)
    for each in lines:
        sink(each)
    async with asyncio.timeout(5):
        await stream.full.wait()
    sink.close()
    assert stream.getvalue().splitlines() == lines
    assert stream.flushed == 1
    assert all(name.startswith("access-log") for name in stream.threads)


async def test_lines_that_come_while_others_are_written_follow_them() -> None:
    class Slow(Stream):
        def write(self, data: Any, /) -> int:
            self.loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(5)
            return super().write(data)

    begun, go_on = asyncio.Event(), threading.Event()
    stream = Slow(4)
    sink = BufferedSink(stream)
    sink(b"a")
    async with asyncio.timeout(5):
        await begun.wait()
        sink(b"b")
        go_on.set()
        await stream.full.wait()
    sink.close()
    assert stream.getvalue() == b"a\nb\n"


async def test_close_writes_what_is_left() -> None:
    stream = Stream(0)
    sink = BufferedSink(stream)
    sink(b"a")
    sink.close()
    sink.close()
    assert stream.getvalue() == b"a\n"


async def test_a_closed_sink_takes_no_further_part_in_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Stream(0)
    sink = BufferedSink(stream)
    sink(b"a")
    sink.close()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, later.set)
    await later.wait()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_sink_that_took_no_line_writes_nothing() -> None:
    stream = Stream(0)
    BufferedSink(stream).close()
    assert stream.getvalue() == b""


class Pipe(Stream):
    """Takes nothing until told to go on; then fails as often as `failures` says."""

    def __init__(self) -> None:
        super().__init__(0)
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.failures: list[OSError] = []

    def write(self, data: Any, /) -> int:
        self.begun.set()
        assert self.go_on.wait(5)
        if self.failures:
            raise self.failures.pop()
        return super().write(bytes(data[:5]))  # a pipe takes what fits

    async def is_reached(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 5)
        self.begun.clear()


async def test_a_blocked_stream_holds_neither_the_end_nor_ever_more_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Pipe()
    sink = BufferedSink(stream)
    sink(b"first")
    await stream.is_reached()
    for _ in range(10_003):
        sink(b"more")
    started = time.monotonic()
    sink.close()
    sink.close()
    assert time.monotonic() - started < 5
    stream.go_on.set()
    assert [record.getMessage() for record in caplog.records] == [
        "10004 access lines were lost: they could not be written in time"
    ]


async def test_lost_lines_are_told_once_writing_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Pipe()
    sink = BufferedSink(stream)
    sink(b"first")
    await stream.is_reached()
    for number in range(10_002):
        sink(b"%d" % number)
    stream.go_on.set()
    sink.close()
    assert stream.getvalue().split() == [b"first", *(b"%d" % each for each in range(10_000))]
    assert [record.getMessage() for record in caplog.records] == [
        "2 access lines were lost: they could not be written in time"
    ]


async def test_a_stream_that_fails_is_one_error_until_it_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Pipe()
    stream.go_on.set()
    stream.failures = [BrokenPipeError("gone"), OSError("full"), OSError("full")]
    sink = BufferedSink(stream)
    for line in (b"a", b"b", b"c"):
        sink(line)
        await stream.is_reached()
        await asyncio.sleep(0.1)  # until the failure is noted
    sink(b"d")
    sink.close()
    assert stream.getvalue() == b"d\n"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "access lines cannot be written: full"),
        ("WARNING", "3 access lines were lost: they could not be written in time"),
    ]
    assert not any(record.exc_info for record in caplog.records)


async def test_close_does_not_raise_for_a_stream_that_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Pipe()
    stream.go_on.set()
    stream.failures = [BrokenPipeError("gone")]
    sink = BufferedSink(stream)
    sink(b"a")
    sink.close()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_stream_made_non_blocking_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with io.FileIO(writing, "w") as stream, io.FileIO(reading) as reader:
        sink = BufferedSink(stream)
        sink(bytes(1 << 20))
        left = (1 << 20) + 1
        while left:
            left -= len(reader.read(left))
        sink.close()
