"""A client that sees every byte: requests as text, answers as they came, and whether they came whole."""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from typing import Literal

from tests.support.gateways import HEADERS, STREAM_BODY, Running

Ending = Literal["message", "error event", "broken"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client got until the connection ended. `whole` tells whether the framing's own end was seen."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    @property
    def ending(self) -> Ending:
        """Say what a client of the API would make of the end of this stream."""
        if not self.whole:
            return "broken"
        if self.body.rpartition(b"event: ")[2].startswith(b"error\n"):
            return "error event"
        if self.body.endswith(b'data: {"type":"message_stop"}\n\n'):
            return "message"
        raise AssertionError(f"cut short, and looks complete: {self.body[-200:]!r}")


def request(
    body: bytes = STREAM_BODY,
    path: str = "/v1/messages",
    headers: dict[str, str] | None = None,
    version: str = "1.1",
) -> bytes:
    """Write a good request, some of its headers replaced or added."""
    lines = {**HEADERS, **(headers or {}), "host": "gateway.test", "content-length": len(body)}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/{version}\r\n{head}\r\n".encode() + body


def parse(received: bytes, *, reset: bool = False) -> Answer | None:
    """Read an answer; None when there is not even a whole head.

    Args:
        received: everything until the connection ended.
        reset: whether it ended with RST, which tells an unframed body that is cut from a whole one.
    """
    head, blank, rest = received.partition(b"\r\n\r\n")
    if not blank:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    status = int(status_line.split(" ")[1])
    named = dict(headers)
    if named.get("transfer-encoding") == "chunked":
        body, whole = unchunk(rest)
    elif "content-length" in named:
        body, whole = rest, len(rest) == int(named["content-length"])
    else:
        body, whole = rest, not reset
    return Answer(status, headers, body, whole)


def unchunk(framed: bytes) -> tuple[bytes, bool]:
    """Undo the chunked framing; tell whether its last chunk was there."""
    body = bytearray()
    while True:
        size, line_end, rest = framed.partition(b"\r\n")
        if not line_end:
            return bytes(body), False
        length = int(size, 16)
        if length == 0:
            return bytes(body), rest == b"\r\n"
        body += rest[:length]
        if rest[length : length + 2] != b"\r\n":
            return bytes(body), False
        framed = rest[length + 2 :]


async def received(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Read until the connection ends; tell whether it ended with RST."""
    parts = []
    try:
        while part := await reader.read(1 << 16):
            parts.append(part)
    except ConnectionError:
        return b"".join(parts), True
    return b"".join(parts), False


@contextlib.asynccontextmanager
async def connected(
    gateway: Running, receive_bytes: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect a client; it is gone when the context ends. `receive_bytes` bounds what its kernel takes unread."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    await asyncio.get_running_loop().sock_connect(sock, (gateway.host, gateway.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=receive_bytes or 1 << 16)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(gateway: Running, data: bytes | None = None, *, within_s: float = 10.0) -> Answer:
    """Send one request on a connection that the gateway closes after it, and read the answer."""
    data = request() if data is None else data
    head, _, body = data.partition(b"\r\n\r\n")
    async with asyncio.timeout(within_s), connected(gateway) as (reader, writer):
        writer.write(head + b"\r\nconnection: close\r\n\r\n" + body)
        seen, reset = await received(reader)
    answer = parse(seen, reset=reset)
    assert answer is not None, f"no answer: {seen!r}"
    return answer
