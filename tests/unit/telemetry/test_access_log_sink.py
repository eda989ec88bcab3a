"""The access log's way to its stream: from a thread, in order, bounded, and honest about what was lost."""

import asyncio
import io
import logging
import os
import threading
import time
from typing import Any

import pytest

from proxy.telemetry.sink import BufferedSink
from tests.ledger.rows import until


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
    assert all(name == "access-sink" for name in stream.threads)


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
    assert sink.lost() == 2


async def test_a_stream_that_fails_is_one_error_until_it_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Pipe()
    stream.go_on.set()
    stream.failures = [BrokenPipeError("gone"), OSError("full"), OSError("full")]
    sink = BufferedSink(stream)
    for lost, line in enumerate((b"a", b"b", b"c"), 1):
        sink(line)
        await until(lambda lost=lost: sink.lost() == lost)  # type: ignore[misc] # what it is bound to
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


def test_no_line_is_broken_by_what_another_thread_writes() -> None:
    reading, writing = os.pipe()
    with io.FileIO(reading) as reader, io.FileIO(writing, "w") as stream:
        sinks = [BufferedSink(stream), BufferedSink(stream)]
        expected = [bytes([letter]) * 300 for letter in b"ab" for _ in range(2000)]
        for line in expected:
            sinks[line[:1] == b"b"](line)
        text = b""
        while text.count(b"\n") < len(expected):
            text += reader.read(1000)  # in small bites, so that the pipe is full
        for sink in sinks:
            sink.close()
    assert sorted(text.splitlines()) == expected


async def test_what_was_written_before_a_failure_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Filling(Stream):
        def write(self, data: Any, /) -> int:
            if len(self.getvalue()) > 5000:
                raise OSError("full")
            return super().write(data)

    sink = BufferedSink(Filling(0))
    for _ in range(30):
        sink(bytes(1000))
    sink.close()
    assert "22 access lines were lost" in caplog.text
    assert sink.lost() == 22
