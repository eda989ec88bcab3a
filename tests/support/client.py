"""The one raw client: it sends any bytes, and reads every byte that comes, whole responses or what there is of them."""

import asyncio
import contextlib
import dataclasses
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Literal, NamedTuple

from multidict import CIMultiDict

from tests.support.gateways import BODY, HEADERS, STREAM_BODY, Running

Ending = Literal["message", "error event", "broken"]

_BLANK_LINE = b"\r\n\r\n"
_CONTINUE = 100
# More than a loaded machine takes, and less than any bound of a gateway's own that would end a wait in its place.
WITHIN_S = 9.0


@dataclasses.dataclass(frozen=True)
class Response:
    """One HTTP response. `whole`: whether its framing's own end was seen."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    whole: bool = True

    @property
    def kind(self) -> str:
        """Return the type of the error that this is."""
        return str(json.loads(self.body)["error"]["type"])

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return self.headers.getall(name, [])

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


class Client(NamedTuple):
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            ConnectionResetError: the connection is closed.
        """
        if self.writer.transport.is_closing():
            raise ConnectionResetError  # a transport of uvloop would raise a RuntimeError
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Response:
        """Read the next response, whose body must have a length."""
        async with asyncio.timeout(WITHIN_S):
            status, headers = parse_head(await self.reader.readuntil(_BLANK_LINE))
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Response(status, headers, body)

    async def until_closed(self) -> bytes:
        """Read everything that still comes; a reset counts as a close."""
        async with asyncio.timeout(15):
            return (await received(self.reader))[0]

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readuntil(mark)

    def leave(self) -> None:
        """Close without a word."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(
    host: str, port: int, receive_bytes: int | None = None
) -> AsyncIterator[Client]:
    """Connect for the length of the context. `receive_bytes` bounds what the client's kernel takes unread."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    await asyncio.get_running_loop().sock_connect(sock, (host, port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=receive_bytes or 1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def received(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Read until the connection ends; return also whether it ended with RST."""
    parts = []
    try:
        while part := await reader.read(1 << 16):
            parts.append(part)
    except ConnectionError:
        return b"".join(parts), True
    return b"".join(parts), False


async def talk(host: str, port: int, data: bytes, *, within_s: float = WITHIN_S) -> bytes:
    """Send bytes, and return everything that comes until the other side closes."""
    async with asyncio.timeout(within_s), connected(host, port) as client:
        client.writer.write(data)
        return (await received(client.reader))[0]


async def ask(gateway: Running, data: bytes | None = None, *, within_s: float = 30.0) -> Response:
    """Send one request, for a stream unless told otherwise, as the last of its connection; read the response."""
    head, _, body = (request(body=STREAM_BODY) if data is None else data).partition(_BLANK_LINE)
    async with asyncio.timeout(within_s), connected(gateway.host, gateway.port) as client:
        client.writer.write(head + b"\r\nconnection: close\r\n\r\n" + body)
        seen, reset = await received(client.reader)
    response = parse(seen, reset=reset)
    assert response is not None, f"no response: {seen!r}"
    return response


def request(
    *lines: bytes,
    body: bytes = BODY,
    path: bytes = b"/api/v1/messages",
    headers: Mapping[str, str] | None = None,
    version: bytes = b"1.1",
    length: bool = True,
) -> bytes:
    """Frame a good request.

    Args:
        lines: further header lines, whatever they are.
        body: what comes after the head.
        path: the request target.
        headers: replaces headers of the good request, or adds some.
        version: of HTTP.
        length: whether the body's length is told.
    """
    named = {"Host": "gateway", **HEADERS, **(headers or {})}
    head = [
        b"POST %s HTTP/%s" % (path, version),
        *(f"{name}: {value}".encode() for name, value in named.items()),
        *lines,
    ]
    if length:
        head.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*head, b"", body])


def parse_head(head: bytes) -> tuple[int, CIMultiDict[str]]:
    """Parse a status line and the header lines behind it."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, status, _ = f"{first} ".split(" ", 2)
    assert version in {"HTTP/1.1", "HTTP/1.0", "HTTP/0.9"}, first
    pairs = [line.split(":", 1) for line in lines]
    return int(status), CIMultiDict((name, value.strip()) for name, value in pairs)


def parse(everything: bytes, *, reset: bool = False) -> Response | None:
    """Parse the one response of a connection that has ended; None when there is not even a whole head.

    Args:
        everything: what came until the connection ended.
        reset: whether it ended with RST, which tells an unframed body that is cut from a whole one.
    """
    head, blank, rest = everything.partition(_BLANK_LINE)
    if not blank:
        return None
    status, headers = parse_head(head)
    if headers.get("transfer-encoding") == "chunked":
        body, whole = unchunk(rest)
    elif "content-length" in headers:
        body, whole = rest, len(rest) == int(headers["content-length"])
    else:
        body, whole = rest, not reset
    return Response(status, headers, body, whole)


def answers(everything: bytes) -> list[Response]:
    """Split what came on one connection into its responses, all of which must have a length."""
    found = []
    while everything:
        head, blank, rest = everything.partition(_BLANK_LINE)
        assert blank, everything
        status, headers = parse_head(head)
        length = 0 if status == _CONTINUE else int(headers.get("content-length", "0"))
        if status != _CONTINUE:
            found.append(Response(status, headers, rest[:length]))
        everything = rest[length:]
    return found


def unchunk(framed: bytes) -> tuple[bytes, bool]:
    """Undo the chunked framing; return also whether its last chunk was there."""
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


Answer = Response  # its name before
