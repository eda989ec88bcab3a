"""A Messages upstream for streams: one raw protocol on uvloop, so as not to be what is measured.

`POST /v1/messages?events=64&interval_ms=20` answers 64 text deltas, one every 20 ms, between the
protocol's framing events; 0 sends them all at once. Every delta of a paced stream carries the
monotonic nanoseconds of its own sending, read from the clock that the client on this machine
reads too. Anything else is answered 200 at once.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from functools import cache
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\nrequest-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
# What is asked for no stream gets a message of 300 bytes, as the upstream of the plain workloads sends.
_MESSAGE = (
    b'{"id":"msg_bench","type":"message","role":"assistant","model":"claude-haiku-4-5","content":'
    b'[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":'
    b'{"input_tokens":12,"output_tokens":16}}'
).ljust(300)
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_MESSAGE),
    _MESSAGE,
)
_LAST_CHUNK = b"0\r\n\r\n"


def _event(name: str, members: str) -> bytes:
    event = f'event: {name}\ndata: {{"type":"{name}"{members}}}\n\n'.encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


_OPENING = (
    _event(
        "message_start",
        ',"message":{"id":"msg_bench","type":"message","role":"assistant",'
        '"model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,'
        '"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        '"output_tokens":1,"service_tier":"standard"}}',
    )
    + _event("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}')
    + _event("ping", "")
)
_CLOSING = (
    _event("content_block_stop", ',"index":0')
    + _event(
        "message_delta",
        ',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}',
    )
    + _event("message_stop", "")
    + _LAST_CHUNK
)


def _delta(stamp_ns: int) -> bytes:
    text = f"sent={stamp_ns:020d} some words"
    return _event(
        "content_block_delta",
        f',"index":0,"delta":{{"type":"text_delta","text":"{text}"}}',
    )


@cache
def _unpaced(events: int) -> bytes:
    return _HEAD + _OPENING + _delta(0) * events + _CLOSING


class Upstream(asyncio.Protocol):
    """One keep-alive connection, one request at a time (no client here pipelines)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._head = b""
        self._target = ""
        self._missing = 0
        self._body_ends: Callable[[bytes], bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the methods, not the base class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the stream's clock."""
        del exc
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Read a head, then its whole body, and answer only then, as the API does."""
        if self._body_ends is None:
            self._head += data
            head, separator, data = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            self._head = b""
            self._target = head.split(b" ", 2)[1].decode()
            lowered = head.lower() + b"\r\n"
            _, _, length = lowered.partition(b"\r\ncontent-length:")
            self._missing = int(length.partition(b"\r\n")[0] or 0)
            chunked = b"\r\ntransfer-encoding: chunked\r\n" in lowered
            self._body_ends = self._chunked_ends if chunked else self._counted_ends
        if self._body_ends(data):
            self._body_ends = None
            self._answer()

    def _counted_ends(self, data: bytes) -> bool:
        self._missing -= len(data)
        return self._missing <= 0

    def _chunked_ends(self, data: bytes) -> bool:
        self._head = (self._head + data)[-len(_LAST_CHUNK) :]
        if self._head != _LAST_CHUNK:
            return False
        self._head = b""
        return True

    def _answer(self) -> None:
        split = urlsplit(self._target)
        query = parse_qs(split.query)
        if "events" not in query:
            self._transport.write(_OK)
            return
        self._events = int(query["events"][0])
        self._interval_s = float(query.get("interval_ms", ["0"])[0]) / 1000
        if not self._interval_s:
            self._transport.write(_unpaced(self._events))
            return
        self._transport.write(_HEAD + _OPENING)
        self._start = self._loop.time()
        self._sent = 0
        self._schedule()

    def _schedule(self) -> None:
        # From the stream's start, not from the last event: a late timer does not slow the stream.
        due = self._start + (self._sent + 1) * self._interval_s
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._sent += 1
        delta = _delta(time.monotonic_ns())
        if self._sent == self._events:
            self._transport.write(delta + _CLOSING)
        else:
            self._transport.write(delta)
            self._schedule()


async def serve(port: int) -> None:
    """Run until the process is ended."""
    server = await asyncio.get_running_loop().create_server(
        Upstream, "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The stream upstream of the benchmark.")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
