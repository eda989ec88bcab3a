"""A fast path past aiohttp's server: a connection answers its requests from one coroutine.

aiohttp's own makes a task of each request, for context variables, which nothing here sets: on CPython 3.11 that is one
more turn of the event loop per request, and 30 of 250 µs of CPU.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, HttpProcessingError
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import ERROR, _ErrInfo

_MAX_QUEUED_BYTES = 1 << 16
# What is no HTTP has no version; the response to it is HTTP/1.1.
_MALFORMED = ERROR._replace(version=HttpVersion11)

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class RequestHandler(web.RequestHandler):
    """`web.RequestHandler` without a task per request, and with a queue of requests that is bounded in bytes.

    It leaves the time a connection may be idle to its subclass.

    Attributes:
        sees_queue: whether `queue` tells anything.
        queue: the requests that wait for their turn, each a head, or an error in its place, and a body.
        clock: the event loop's time.
    """

    __slots__ = ("_queued_bytes", "clock", "queue")

    sees_queue: ClassVar[bool] = True

    def __init__(self, server: web.Server, **options: Any) -> None:
        """Take the options of `web.RequestHandler`."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._queued_bytes = 0
        self.clock = self._loop.time
        self.queue: deque[tuple[Any, StreamReader]] = self._messages

    def refuse_from(self, position: int, status: int, reason: str) -> None:
        """Answer an error, through `handle_error`, instead of the queue's requests from `position` on; then close."""
        while len(self._messages) > position:
            self._messages.pop()
        error = _ErrInfo(status, BadHttpMessage(reason), reason)
        self._messages.append((error, EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._close = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to answer."""
        super().connection_made(transport)
        self.keep_alive(True)  # takes off aiohttp's timer for idle connections

    async def start(self) -> None:
        """Answer one request after the other, until the connection is to close."""
        try:
            await self._answer_all()
        except ConnectionError:
            self.force_close()  # the client has gone
        except asyncio.CancelledError:
            # Not raised: a task keeps the cancellation it ended with, that its frames, and these the request, which
            # knows the task.
            self.force_close()
        except Exception:  # noqa: BLE001 - as aiohttp does: logged with its traceback, and closed
            self.log_exception("Unhandled exception")
            self.force_close()
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.end(self.transport)

    def end(self, transport: asyncio.Transport) -> None:
        """Close the connection: no further request will be answered."""
        transport.close()

    async def _answer_all(self) -> None:
        while not self._force_close:
            if not self._messages:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            request, payload, handler = self._next_request()
            response, lost = await self._handle_request(request, None, handler)
            self._keepalive = bool(response.keep_alive)
            if not (lost or payload.is_eof()):
                await self._linger(payload)
            # Whoever is refused for the bytes it sent last has those before them answered.
            if lost or not self._keepalive or (self._close and not self._messages):
                break
            # What has been answered must not live, body and all, until the next one comes.
            del request, payload, handler, response
            if self._messages:
                # Whoever sends many requests at once waits for the others.
                await asyncio.sleep(0)

    def _next_request(self) -> tuple[web.BaseRequest, StreamReader, _Handler]:
        """Take the next message from the queue: a request, its body, and what answers it."""
        message, payload = self._messages.popleft()
        parser, handler, make_request = self._parser, self._request_handler, self._request_factory
        task = self._task_handler
        if parser is None or handler is None or make_request is None or task is None:
            raise ConnectionResetError
        parser.message_consumed()
        if not self._messages:
            self._queued_bytes = 0
            if self._buffer_paused:
                self._resume_reading_if_drained()
        if isinstance(message, _ErrInfo):
            handler, message = self._make_error_handler(message), _MALFORMED
        elif message.version is not HttpVersion11 and message.version > HttpVersion11:
            version = "HTTP/{}.{}".format(*message.version)
            error = _ErrInfo(505, BadStatusLine(version), version)
            handler, message = self._make_error_handler(error), _MALFORMED
        request = make_request(message, payload, self, StreamWriter(self, self._loop), task)
        return request, payload, handler

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response; nothing is left to do for one that has been written to its end."""
        if self._upgraded or not getattr(resp, "_eof_sent", False):
            return await super().finish_response(request, resp, start_time)
        request._finish()  # noqa: SLF001 - as aiohttp does
        self.log_access(request, resp, start_time)
        return resp, False

    async def _linger(self, payload: StreamReader) -> None:
        """Drain an unread body before closing: closing with unread data sends RST, and the response may be lost."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not (self._force_close or payload.is_eof()):
                    await payload.readany()
        except TimeoutError:
            self.close()
        except (web.RequestPayloadError, HttpProcessingError) as error:
            # Broken. Only chunks can break, and `make_request` has the connection close behind them.
            error.__traceback__ = None  # the body keeps the error, and its frames the body

    def data_received(self, data: bytes) -> None:
        """Parse, and stop reading when more waits for its turn than a client that waits for its answers sends."""
        if self._messages:
            self._queued_bytes += len(data)
        # Not `super()`, which takes 0.1 µs on CPython 3.11; so wherever each request comes by.
        web.RequestHandler.data_received(self, data)
        if not self._messages:
            return
        last = self._messages[-1][0]
        if last.__class__ is _ErrInfo:
            last.exc.__traceback__ = None  # its frames know it, and all that is read here
        if self._queued_bytes > _MAX_QUEUED_BYTES and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Resume, when paused: aiohttp calls this after every chunk that is read, and would parse no bytes anew."""
        if self._reading_paused:
            super().resume_reading(resume_parser)
