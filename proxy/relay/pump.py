"""The hot path of a stream: what arrives on the upstream's connection is written to the client's in the same callback.

aiohttp's way is to wake a task for each chunk, which reads it and writes it. Here the task sleeps while the stream
flows, and is woken for what needs it: 77 instead of 93 µs of CPU per event.

| the task is woken by | and then |
|---|---|
| `Wake.END`: all of the response has come and was written | `run` returns |
| `Wake.ERROR`: the upstream broke off, or the tap failed | `run` raises the error |
| `Wake.CLIENT_SLOW`: the client's buffer is full | `run` waits until it has drained, and the stream flows on |
| `Wake.CLIENT_GONE`: the client's connection closes | `run` raises `ConnectionResetError` |
| an interruption: a deadline, or the process ends | `run` raises its reason |
"""

import asyncio
import enum
import time

from aiohttp import hdrs, web

from proxy.aiohttp_fast.client import UpstreamResponse
from proxy.exchange import Exchange, Phase
from proxy.protocol.sse import PING, Tap


class Wake(enum.Enum):
    """Why the task of a pump is woken."""

    END = enum.auto()
    ERROR = enum.auto()
    CLIENT_SLOW = enum.auto()
    CLIENT_GONE = enum.auto()


class Pump:
    """Copies one stream.

    Args:
        request: whose client it goes to.
        exchange: its phase is kept, and its bytes are counted.
        upstream: the upstream's response, at its first byte.
        response: prepared; its end is left to the caller.
        tap: watches the stream.
    """

    def __init__(
        self,
        request: web.Request,
        exchange: Exchange,
        upstream: UpstreamResponse,
        response: web.StreamResponse,
        tap: Tap,
    ) -> None:
        self._request = request
        self._client = request.protocol
        self._consumed_bytes = 0
        self._exchange = exchange
        self._content = upstream.content
        self._response = response
        self._tap = tap
        self._chunked = hdrs.TRANSFER_ENCODING in response.headers
        self._error: BaseException | None = None
        self._upstream_at_s = time.monotonic()
        self._wake: asyncio.Future[Wake] = asyncio.get_running_loop().create_future()
        # None when the whole response came with its head: then there is nothing to wait for.
        if upstream.connection is not None:
            upstream.connection.on_data = self._flow

    async def run(self) -> None:
        """Copy until the upstream's end.

        Raises:
            aiohttp.ClientError: the upstream broke off.
            ConnectionResetError: the client is gone.
            ProxyError: an interruption.
            asyncio.CancelledError: the client is leaving.
        """
        exchange = self._exchange
        exchange.on_quiet = self._ping
        try:
            while (woken := await self._flows()) is not Wake.END:
                match woken:
                    case Wake.ERROR if self._error is not None:
                        raise self._error
                    case Wake.CLIENT_SLOW:
                        with exchange.waiting(Phase.CLIENT):
                            await self._request.writer.drain()
                        self._upstream_at_s = time.monotonic()
                    case _:
                        raise ConnectionResetError
        finally:
            exchange.on_quiet = None
        if rest := self._tap.rest():
            exchange.bytes_out += len(rest)
            with exchange.waiting(Phase.CLIENT):
                await self._response.write(rest)

    async def _flows(self) -> Wake:
        """Let the stream flow, and sleep until something needs the task."""
        exchange = self._exchange
        self._wake = asyncio.get_running_loop().create_future()
        with exchange.waiting(Phase.RESPONSE_BODY):
            self._flow()
            # Since the upstream's last byte: a ping of ours is no sign of its life.
            exchange.since_s = self._upstream_at_s
            return await self._wake

    def _flow(self) -> None:
        """Pass on what has come, or wake the task. Called whenever the upstream's connection has news."""
        if self._wake.done():
            return
        client, content, tap = self._client, self._content, self._tap
        transport = client.transport
        if transport is None or transport.is_closing():
            self._wake.set_result(Wake.CLIENT_GONE)
            return
        try:
            # Once more, when to read has let more come in: aiohttp may resume the parser inside.
            while content.total_bytes > self._consumed_bytes and not client.writing_paused:
                chunk = content.read_nowait()
                self._exchange.since_s = self._upstream_at_s = time.monotonic()
                self._consumed_bytes += len(chunk)
                if out := tap.feed(chunk):
                    self._exchange.bytes_out += len(out)
                    transport.write(b"%x\r\n%b\r\n" % (len(out), out) if self._chunked else out)
        except Exception as error:  # noqa: BLE001 - not the connection's to handle: the task's
            # Not set as the future's: a task that is cancelled meanwhile would leave it unretrieved.
            self._error = error
            self._wake.set_result(Wake.ERROR)
            return
        if client.writing_paused:
            self._wake.set_result(Wake.CLIENT_SLOW)
            return
        self._error = content.exception()
        if self._error is not None:
            self._wake.set_result(Wake.ERROR)
        elif content.at_eof():
            self._wake.set_result(Wake.END)

    def _ping(self) -> None:
        """Tell the client of a silent stream that it is still alive, where an event may stand."""
        client, tap = self._client, self._tap
        transport = client.transport
        if self._wake.done() or not tap.at_boundary or tap.finished or client.writing_paused:
            return
        if transport is not None and not transport.is_closing():
            self._exchange.bytes_out += len(PING)
            transport.write(b"%x\r\n%b\r\n" % (len(PING), PING) if self._chunked else PING)
