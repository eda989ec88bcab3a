"""An upstream that follows a script, byte by byte."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.client import talk as talk  # noqa: PLC0414 - where it was before

SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_up\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
EVENTS = (
    (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        b'"role":"assistant","model":"claude-sonnet-4-6","content":[],"stop_reason":null,'
        b'"usage":{"input_tokens":11,"cache_read_input_tokens":3,"output_tokens":1}}}\n\n'
    ),
    (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
    ),
    b'event: ping\ndata: {"type": "ping"}\n\n',
    (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hi"}}\n\n'
    ),
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"output_tokens":7}}\n\n'
    ),
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
STREAM = b"".join(EVENTS)
MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-6",'
    b'"content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":11,"output_tokens":7}}'
)


def chunk(part: bytes) -> bytes:
    """Frame bytes as one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(part), part)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST: what is not yet sent, or not yet read by the other side, is lost."""
    if writer.transport.is_closing():
        return
    linger_not = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    writer.transport.abort()


def answer(body: bytes = MESSAGE, status: bytes = b"200 OK", *head: bytes) -> bytes:
    """Frame a JSON answer with its length."""
    lines = [b"HTTP/1.1 " + status, b"content-type: application/json", *head]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])


class UpstreamSide:
    """One request as it reached the upstream, and the way to answer it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.body = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_closed(self) -> None:
        """Wait until the gateway closes or resets the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    def reset(self) -> None:
        reset(self.writer)


Script = Callable[[UpstreamSide], Awaitable[None]]


class RawUpstream:
    """An upstream that reads each request whole and then does what `script` says.

    Returning from the script keeps the connection open for the next request; `connections` counts those
    accepted, `open` those not closed yet.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[UpstreamSide] = []
        self.connections = 0
        self.open = 0
        self.all_closed = asyncio.Event()
        self.arrived = asyncio.Event()
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.all_closed.clear()
        try:
            while True:
                exchange = UpstreamSide(reader, writer)
                exchange.head = await reader.readuntil(b"\r\n\r\n")
                lower = exchange.head.lower()
                if b"content-length:" in lower:
                    length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
                    exchange.body = await reader.readexactly(length)
                self.requests.append(exchange)
                self.arrived.set()
                await self.script(exchange)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.open -= 1
            if not self.open:
                self.all_closed.set()


@contextlib.asynccontextmanager
async def raw_upstream(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawUpstream]:
    """Listen on a loopback port, by TLS when there is a context; `host` is the name in its URL."""
    upstream = RawUpstream(script)
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0, limit=1 << 26, ssl=tls)
    scheme = "http" if tls is None else "https"
    upstream.url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for exchange in upstream.requests:
            exchange.writer.transport.abort()
        async with asyncio.timeout(5):
            await server.wait_closed()
            if upstream.open:
                await upstream.all_closed.wait()


Exchange = UpstreamSide  # its name before
