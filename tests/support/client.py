"""A client that speaks HTTP by hand: it sends any bytes, and reads the answers one by one."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator

from multidict import CIMultiDict

from tests.support.gateways import BODY, KEY, VERSION


@dataclasses.dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def kind(self) -> str:
        """Give the type of the error that this is."""
        return str(json.loads(self.body)["error"]["type"])


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> Answer:
        """Read the next answer, whose body must have a length."""
        async with asyncio.timeout(5):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, headers = _head(head)
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    async def until_closed(self) -> bytes:
        """Read everything that still comes; a reset counts as a close."""
        async with asyncio.timeout(15):
            with contextlib.suppress(ConnectionError):
                return await self._reader.read()
        return b""

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        async with asyncio.timeout(5):
            return await self._reader.readuntil(mark)

    def leave(self) -> None:
        """Close without a word."""
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Client]:
    """Connect for the length of the context."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def request(
    *lines: bytes, body: bytes = BODY, path: bytes = b"/api/v1/messages", length: bool = True
) -> bytes:
    """Frame a good request, with further header lines."""
    head = [
        b"POST %s HTTP/1.1" % path,
        b"Host: gateway",
        b"x-api-key: " + KEY.encode(),
        b"anthropic-version: " + VERSION.encode(),
        b"content-type: application/json",
        *lines,
    ]
    if length:
        head.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*head, b"", body])


def answers(received: bytes) -> list[Answer]:
    """Split what came on one connection into its answers."""
    found = []
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        assert separator, received
        status, headers = _head(head + separator)
        if status == 100:
            received = rest
            continue
        length = int(headers.get("content-length", "0"))
        found.append(Answer(status, headers, rest[:length]))
        received = rest[length:]
    return found


def _head(head: bytes) -> tuple[int, CIMultiDict[str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, status, _ = f"{first} ".split(" ", 2)
    assert version in {"HTTP/1.1", "HTTP/1.0", "HTTP/0.9"}, first
    pairs = [line.split(":", 1) for line in lines]
    return int(status), CIMultiDict((name, value.strip()) for name, value in pairs)
