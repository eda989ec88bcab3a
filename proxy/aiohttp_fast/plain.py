"""The plain twins of the fast pieces, by aiohttp's public API only: their readable specification."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from proxy.aiohttp_fast.twins import refuse_controls
from proxy.aiohttp_fast.wake import Wake

if TYPE_CHECKING:
    from proxy.aiohttp_fast.client import UpstreamResponse


class RequestHandler(web.RequestHandler):
    """`web.RequestHandler` itself. As `request_handler.RequestHandler`, but for what its public API does not tell.

    Nothing is known of the requests that wait for their turn: neither they nor heads are bounded in bytes but by
    aiohttp, the head of one behind another has no deadline of its own, clients that close their sending side are taken
    for gone, and what follows an upgrade, or a version above HTTP/1.1, is answered as aiohttp does. The request that
    was answered last is kept until the next one comes, or the connection ends.
    """

    __slots__ = ("clock", "queue")

    sees_queue: ClassVar[bool] = False

    def __init__(self, server: web.Server, **options: Any) -> None:
        """Take the options of `web.RequestHandler`."""
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, **options)
        self.clock = loop.time
        self.queue: deque[tuple[Any, StreamReader]] = deque()

    def refuse_from(self, position: int, status: int, reason: str) -> None:  # noqa: ARG002 - the fast one's
        """Close the connection."""
        self.force_close()

    def end(self, transport: asyncio.Transport) -> None:
        """Close the connection: no further request will be answered."""
        transport.close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response, and let others have their turn."""
        finished = await super().finish_response(request, resp, start_time)
        if sys.version_info >= (3, 12):
            # The task that aiohttp makes of each request begins at once there, and may be done without a turn of the
            # event loop: whoever sends many requests at once would have it for all of them.
            await asyncio.sleep(0)
        return finished


class Pipe:
    """Copies one body, chunk by chunk: `flow` reads one, and `drain` writes it. As `pipe.Pipe`."""

    def __init__(
        self,
        request: web.Request,
        upstream: "UpstreamResponse",
        response: web.StreamResponse,
        on_chunk: Callable[[bytes], bytes],
        read_bytes: int = 0,  # noqa: ARG002 - the fast one's
    ) -> None:
        self._request = request
        self._content = upstream.content
        self._response = response
        self._on_chunk = on_chunk
        self._out = b""
        self._reading = False
        self._writes: set[asyncio.Task[None]] = set()

    async def flow(self) -> Wake:
        """Read a chunk; `Wake.CLIENT_SLOW` then asks for `drain`."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return Wake.CLIENT_GONE
        self._reading = True
        try:
            chunk = await self._content.readany()
        finally:
            self._reading = False
        if not chunk:
            return Wake.END
        self._out = self._on_chunk(chunk)
        return Wake.CLIENT_SLOW

    async def drain(self) -> None:
        """Write the chunk."""
        out, self._out = self._out, b""
        if out:
            await self._response.write(out)

    def put(self, data: bytes) -> bool:
        """Send bytes of ours in between; return whether a chunk is awaited, so that they can stand there."""
        if not self._reading:
            return False
        # It writes before it first waits: nothing can come between.
        write = asyncio.get_running_loop().create_task(self._response.write(data))
        self._writes.add(write)
        write.add_done_callback(self._written)
        return True

    def _written(self, write: asyncio.Task[None]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # the client has gone: the next write of the stream tells


class TransparentResponse(web.StreamResponse):
    """A response whose head another reader reads as the client does: aiohttp itself looks for that since 3.14."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the head.

        Raises:
            ValueError: a control character in it.
        """
        head = "".join((self.reason, *self.headers.keys(), *self.headers.values()))
        refuse_controls(head.encode("utf-8", "surrogateescape"))
        return await super().prepare(request)


class _WholeResponse(TransparentResponse, web.Response):
    """The same with a body, which is sent, too."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it; as `TransparentResponse.prepare`."""
        writer = await super().prepare(request)
        await self.write_eof()
        return writer


def whole_response(
    status: int, reason: str | None, headers: CIMultiDict[str], body: bytes, lines: bytes = b""
) -> web.StreamResponse:
    """Return a response that is sent whole when it is prepared. As `response.whole_response`."""
    for line in lines.decode().splitlines():
        name, _, value = line.partition(": ")
        headers.add(name, value)
    return _WholeResponse(status=status, reason=reason, headers=headers, body=body)


def route_early(app: web.Application, resolve: Handler) -> Handler:  # noqa: ARG001 - the fast one's
    """Return `resolve`: what answers an application's requests. As `static_routes.route_early`."""
    return resolve


def take_whole(_content: StreamReader) -> bytes | None:
    """Return None: every body is read the long way. As `reading.take_whole`."""
    return None
