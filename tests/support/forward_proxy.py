"""A company's proxy: it tunnels by CONNECT, forwards whole URLs, and knows names that nobody else does."""

import asyncio
import contextlib
import dataclasses
import re
import ssl
from collections.abc import AsyncIterator

from tests.support.raw import reset


@dataclasses.dataclass
class ForwardProxy:
    """Every host is this machine. `asked` holds the heads of the requests made of it.

    Attributes:
        authorization: the value of `Proxy-Authorization` it wants; None: any.
        refusal: a status it answers with instead; 0: none.
        silent: whether it answers nothing.
    """

    authorization: str | None = None
    refusal: int = 0
    silent: bool = False
    asked: list[bytes] = dataclasses.field(default_factory=list)
    connections: int = 0
    port: int = 0
    _writers: list[asyncio.StreamWriter] = dataclasses.field(default_factory=list)

    @property
    def host_port(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        if self.silent:
            await reader.read()
            return
        wanted = f"proxy-authorization: {self.authorization}\r\n".encode().lower()
        status = 407 if self.authorization and wanted not in head.lower() else self.refusal
        if status:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\nno" % status)
            await writer.drain()
            await reader.read()
            return
        method, target, _ = head.decode().split(" ", 2)
        authority = target if method == "CONNECT" else target.split("/", 3)[2]
        port = int(authority.rpartition(":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(back)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        else:
            await asyncio.gather(self._forward(head, reader, back), _copy(there, writer))

    async def _forward(
        self, head: bytes, reader: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        """Send each request on to the origin of the first, in the form that origins are asked in."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                method, target, rest = head.split(b" ", 2)
                scheme, _, _, path = target.split(b"/", 3)
                assert scheme == b"http:"
                sized = re.search(rb"(?i)content-length: (\d+)", rest)
                length = int(sized[1]) if sized else 0
                kept = re.sub(rb"(?i)proxy-authorization: [^\r]*\r\n", b"", rest)
                body = await reader.readexactly(length)
                back.write(b"%b /%b %b%b" % (method, path, kept, body))
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head)
        back.close()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
        writer.close()
    except ConnectionError:
        reset(writer)


@contextlib.asynccontextmanager
async def forward_proxy(
    proxy: ForwardProxy | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ForwardProxy]:
    """Listen on a loopback port."""
    proxy = proxy or ForwardProxy()
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.abort()
        async with asyncio.timeout(5):
            await server.wait_closed()
