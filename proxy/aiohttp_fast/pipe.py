"""From connection to connection: what arrives on the upstream's is written to the client's in the same callback.

aiohttp's way is to wake a task for each chunk, which reads it and writes it. Here the task sleeps while the stream
flows, and is woken for what needs it: 77 instead of 93 µs of CPU per event.
"""

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web

from proxy.aiohttp_fast.client import UpstreamResponse
from proxy.aiohttp_fast.reading import take_piece
from proxy.aiohttp_fast.wake import Wake


class Pipe:
    """Copies one body.

    Args:
        request: whose client it goes to.
        upstream: the upstream's response.
        response: prepared; its end is left to the caller.
        on_chunk: takes a chunk of the upstream's, and returns the bytes to send, perhaps none.
        read_bytes: of the body, already.
    """

    def __init__(
        self,
        request: web.Request,
        upstream: UpstreamResponse,
        response: web.StreamResponse,
        on_chunk: Callable[[bytes], bytes],
        read_bytes: int = 0,
    ) -> None:
        self._request = request
        self._client = request.protocol
        self._content = upstream.content
        self._on_chunk = on_chunk
        self._chunked = hdrs.TRANSFER_ENCODING in response.headers
        self._consumed_bytes = read_bytes
        self._error: BaseException | None = None
        self._wake: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()
        # None when the whole response came with its head: then there is nothing to wait for.
        if upstream.connection is not None:
            upstream.connection.on_data = self._flow

    async def flow(self) -> Wake:
        """Let the body flow, and return why it does not any more.

        Raises:
            aiohttp.ClientError: the upstream broke off.
            Exception: of `on_chunk`.
        """
        self._wake = asyncio.get_running_loop().create_future()
        self._flow()
        woken = await self._wake
        if woken is None:
            raise self._error or RuntimeError("the pipe was woken for nothing")
        return woken

    async def drain(self) -> None:
        """Wait until the client takes more, after `Wake.CLIENT_SLOW`."""
        await self._request.writer.drain()

    def put(self, data: bytes) -> bool:
        """Send bytes of ours in between; return whether the client takes any now."""
        transport = self._client.transport
        if self._wake.done() or self._client.writing_paused:
            return False
        if transport is None or transport.is_closing():
            return False
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return True

    def _flow(self) -> None:
        """Pass on what has come, or wake the task. Called whenever the upstream's connection has news."""
        if self._wake.done():
            return
        client, content = self._client, self._content
        transport = client.transport
        if transport is None or transport.is_closing():
            self._wake.set_result(Wake.CLIENT_GONE)
            return
        try:
            # Once more, when to read has let more come in: aiohttp may resume the parser inside.
            while content.total_bytes > self._consumed_bytes and not client.writing_paused:
                chunk = take_piece(content)
                self._consumed_bytes += len(chunk)
                if out := self._on_chunk(chunk):
                    transport.write(b"%x\r\n%b\r\n" % (len(out), out) if self._chunked else out)
        except Exception as error:  # noqa: BLE001 - not the connection's to handle: the task's
            # Not set as the future's: a task that is cancelled meanwhile would leave it unretrieved.
            self._error = error
            self._wake.set_result(None)
            return
        if client.writing_paused:
            self._wake.set_result(Wake.CLIENT_SLOW)
            return
        self._error = content.exception()
        if self._error is not None:
            self._wake.set_result(None)
        elif content.at_eof():
            self._wake.set_result(Wake.END)
