"""A raw HTTP/1.1 client on asyncio's transports: as little as possible between socket and clock."""

import asyncio
from collections.abc import Callable
from typing import cast

API_KEY = "ar-bench-0123456789abcdef0123456789abcdef"
HEADERS = {
    "x-api-key": API_KEY,
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}
MESSAGES = "/v1/messages"
OK = 200


def request_bytes(body: bytes, path: str = MESSAGES, method: str = "POST") -> bytes:
    """Write the request that every contender gets."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class ResponseReader:
    """Decode one response: feed it what arrives, get body bytes back.

    Attributes:
        status: 0 until the head was read.
        complete: the body ended as its framing says.
    """

    def __init__(self, *, bodiless: bool = False) -> None:
        self.status = 0
        self.complete = False
        self._bodiless = bodiless
        self._chunked = False
        self._missing = 0
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take received bytes; return the decoded body bytes that they completed."""
        data = self._rest + data
        self._rest = b""
        if not self.status:
            head, separator, data = data.partition(b"\r\n\r\n")
            if not separator:
                self._rest = head
                return b""
            self._read_head(head.lower() + b"\r\n")
        if self._bodiless:
            self.complete = True
            return b""
        if self._chunked:
            return self._feed_chunked(data)
        self._missing -= len(data)
        self.complete = self._missing <= 0
        return data

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in head
        _, _, length = head.partition(b"\r\ncontent-length:")
        self._missing = int(length.partition(b"\r\n")[0] or 0)

    def _feed_chunked(self, data: bytes) -> bytes:
        body = []
        at = 0
        while not self.complete:
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                break
            size = int(data[at:line_end], 16)
            chunk_end = line_end + 2 + size
            if len(data) < chunk_end + 2:
                break
            body.append(data[line_end + 2 : chunk_end])
            at = chunk_end + 2
            self.complete = size == 0
        self._rest = data[at:]
        return b"".join(body)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight, driven by callbacks.

    Attributes:
        on_body: called with decoded body bytes as they arrive.
        on_end: called once per request, with False when the answer was cut short or not a 200.
    """

    def __init__(self) -> None:
        self.on_body: Callable[[bytes], None] | None = None
        self.on_end: Callable[[bool], None] | None = None
        self.transport: asyncio.Transport
        self._reader: ResponseReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the methods, not the base class.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the request in flight as failed."""
        del exc
        self._finish(ok=False)

    def data_received(self, data: bytes) -> None:
        """Decode and hand on."""
        reader = self._reader
        if reader is None:
            return
        body = reader.feed(data)
        if body and self.on_body:
            self.on_body(body)
        if reader.complete:
            self._finish(ok=reader.status == OK)

    def send(self, request: bytes, *, bodiless: bool = False) -> None:
        """Start a request; `on_end` follows, at once when the connection is gone already."""
        self._reader = ResponseReader(bodiless=bodiless)
        if self.transport.is_closing():
            self._finish(ok=False)
        else:
            self.transport.write(request)

    def _finish(self, *, ok: bool) -> None:
        if self._reader is not None:
            self._reader = None
            if self.on_end:
                self.on_end(ok)


async def connect(port: int) -> Connection:
    """Open a connection to the contender on this port."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection


async def fetch(port: int, request: bytes) -> tuple[bool, bytes]:
    """Send one request on its own connection; return whether it ended well, and its body."""
    connection = await connect(port)
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    body: list[bytes] = []
    connection.on_body = body.append
    connection.on_end = ended.set_result
    connection.send(request)
    try:
        return await asyncio.wait_for(ended, 10), b"".join(body)
    finally:
        connection.on_end = None
        connection.transport.abort()
