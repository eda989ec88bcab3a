"""The hot path of a stream: what arrives on the upstream's connection is written to the client's in the same callback.

aiohttp's way is to wake a task for each chunk, which reads it and writes it. Here the task sleeps while the stream
flows, and is woken for what needs it: the end, an error, a client that does not keep up.
Measured on CPython 3.11, paced streams: see docs/performance.md.
"""

import asyncio
import time

from aiohttp import hdrs, web

from proxy.aiohttp_fast.client import Answer
from proxy.exchange import Exchange, PingDueError, Wait
from proxy.protocol.sse import PING, StreamTap


class Pump:
    """Copies one stream.

    Args:
        request: whose client it goes to.
        exchange: notes what is awaited, and counts.
        answer: the upstream's answer, at its first byte.
        response: prepared; its end is left to the caller.
        tap: watches the stream; None: it cannot be watched.
    """

    def __init__(
        self,
        request: web.Request,
        exchange: Exchange,
        answer: Answer,
        response: web.StreamResponse,
        tap: StreamTap | None,
    ) -> None:
        self._request = request
        self._client = request.protocol
        self._taken = 0  # bytes of the answer
        self._exchange = exchange
        self._content = answer.content
        self._response = response
        self._tap = tap
        self._chunked = hdrs.TRANSFER_ENCODING in response.headers
        self._error: BaseException | None = None
        self._heard = time.monotonic()
        self._needed = asyncio.get_running_loop().create_future()
        # None when the whole answer came with its head: then there is nothing to wait for.
        if answer.connection is not None:
            answer.connection.on_data = self._flow

    async def run(self) -> None:
        """Copy until the upstream's end.

        Raises:
            aiohttp.ClientError: the upstream broke off.
            ConnectionResetError: the client is gone.
            ProxyError: an interruption.
            asyncio.CancelledError: the client is leaving.
        """
        exchange, content = self._exchange, self._content
        while True:
            self._needed = asyncio.get_running_loop().create_future()
            self._flow()
            # Since the upstream's last byte: a ping of ours is no sign of its life.
            exchange.wait, exchange.since = Wait.RESPONSE_BODY, self._heard
            try:
                await self._needed
            except asyncio.CancelledError:
                await self._answer_interruption()
                continue
            if self._error is not None:
                raise self._error
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError
            if self._request.protocol.writing_paused:
                exchange.waits_for(Wait.CLIENT)
                await self._request.writer.drain()
                self._heard = time.monotonic()
            elif content.at_eof():
                break
        if self._tap is not None and (rest := self._tap.rest()):
            await self._write(rest)

    def _flow(self) -> None:
        """Pass on what has come, or wake the task. Called whenever the upstream's connection has news."""
        if self._needed.done():
            return
        client, content, tap = self._client, self._content, self._tap
        transport = client.transport
        if transport is None or client.writing_paused or transport.is_closing():
            self._needed.set_result(None)
            return
        try:
            # Once more, when to read has let more come in: aiohttp may resume the parser inside.
            while content.total_bytes > self._taken and not client.writing_paused:
                chunk = content.read_nowait()
                self._exchange.since = self._heard = time.monotonic()
                self._taken += len(chunk)
                out = chunk if tap is None else tap.feed(chunk)
                if out:
                    self._exchange.bytes_out += len(out)
                    transport.write(b"%x\r\n%b\r\n" % (len(out), out) if self._chunked else out)
        except Exception as error:  # noqa: BLE001 - not the connection's to handle: the task's
            # Not set as the future's: a task that is cancelled meanwhile would leave it unretrieved.
            self._error = error
            self._needed.set_result(None)
            return
        self._exchange.may_ping = tap is not None and tap.at_boundary and not tap.finished
        self._error = content.exception()
        if self._error is not None or content.at_eof() or client.writing_paused:
            self._needed.set_result(None)

    async def _answer_interruption(self) -> None:
        reason = self._exchange.interruption()
        if not isinstance(reason, PingDueError):
            raise reason from None
        await self._write(PING)

    async def _write(self, out: bytes) -> None:
        self._exchange.bytes_out += len(out)
        self._exchange.waits_for(Wait.CLIENT)
        await self._response.write(out)
