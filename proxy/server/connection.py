"""The server's side of a connection: how a head is timed, how requests follow each other, how bad HTTP is answered.

aiohttp's own, with hooks in the public methods of `web.RequestHandler`, and one fast path: `start`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import ERROR, _ErrInfo

from proxy.errors import InvalidRequest, ProxyError, RequestBodyTimeout

_REASON_CHARS = 200
_BLANK_LINE = b"\r\n\r\n"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# Logs a request that no handler sees; gives headers and body of its answer.
Refuse = Callable[[str | None, ProxyError], tuple[dict[str, str], bytes]]


class Connection(web.RequestHandler):
    """One client connection of a gateway that serves itself."""

    __slots__ = ("_body", "_busy", "_connections", "_head_since", "_part_of_head", "_refuse")

    def __init__(
        self, server: web.Server, connections: "set[Connection]", refuse: Refuse, **options: Any
    ) -> None:
        """Take what a connection is served with.

        Args:
            server: makes and answers requests.
            connections: this one is in it while it is open.
            refuse: called for what is not HTTP.
            options: of `web.RequestHandler`.
        """
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._connections = connections
        self._refuse = refuse
        self._busy = False
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_since: float | None = None
        self._part_of_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        self._head_since = self._loop.time()
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)
        super().connection_lost(exc)

    async def start(self) -> None:
        """Answer one request after the other, until the connection is to close.

        aiohttp's own makes a task of each request, for context variables, which nothing here sets: on CPython 3.11 that
        is a turn of the event loop more for each, and 30 of 250 µs of CPU.
        """
        try:
            await self._answer_all()
        except ConnectionError:
            pass  # the client has gone
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception:  # noqa: BLE001 - as aiohttp does: logged with its traceback, and closed
            self.log_exception("Unhandled exception")
            self.force_close()
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

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
            if lost or not self._keepalive or self._close:
                break
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(
                    self._next_keepalive_close_time, self._process_keepalive
                )
            # What has been answered must not live, body and all, until the next one comes.
            del request, payload, handler, response
            if self._messages:
                # Whoever sends many requests at once waits for the others.
                await asyncio.sleep(0)

    def _next_request(self) -> tuple[web.BaseRequest, StreamReader, Handler]:
        """Take the next message from the queue: a request, its body, and what answers it."""
        message, payload = self._messages.popleft()
        parser, handler, make_request = self._parser, self._request_handler, self._request_factory
        task = self._task_handler
        if parser is None or handler is None or make_request is None or task is None:
            raise ConnectionResetError
        parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if isinstance(message, _ErrInfo):
            handler, message = self._make_error_handler(message), ERROR
        request = make_request(message, payload, self, StreamWriter(self, self._loop), task)
        return request, payload, handler

    async def _linger(self, payload: StreamReader) -> None:
        """Read the rest of a body that was answered before its end, lest a reset overtakes the answer."""
        if self._force_close:
            return
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof():
                    await payload.readany()
        except TimeoutError:
            self.close()

    def data_received(self, data: bytes) -> None:
        """Note when the head of a further request begins to arrive."""
        count, before = len(self._messages), self._last_body()
        fed = None if before.is_eof() else before.total_bytes
        super().data_received(data)
        if data:  # else aiohttp parses again what it has held back
            self._part_of_head = self._ends_in_head(data, fed, begun=len(self._messages) > count)
        if self._head_since is None and not self._busy:
            self._head_since = self._loop.time()
        self._break_body()

    def _last_body(self) -> StreamReader:
        return self._messages[-1][1] if self._messages else self._body

    def _ends_in_head(self, data: bytes, fed: int | None, *, begun: bool) -> bool:
        """Tell whether the bytes just parsed end inside a head, be it behind whole requests.

        Args:
            data: the bytes.
            fed: how many bytes of the last body had come before them; None: it had ended.
            begun: whether a head has become complete.
        """
        body = self._last_body()
        # A complete head, or chunked body, ends so; no part of a head does.
        if not body.is_eof() or data.endswith(_BLANK_LINE):
            return False
        if begun and not getattr(self._messages[-1][0], "chunked", False):  # an error has none
            # Its body ends the bytes when its head ends right before it.
            return not data.endswith(_BLANK_LINE, 0, len(data) - body.total_bytes)
        return fed is None or len(data) > body.total_bytes - fed

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Resume, when paused: aiohttp calls this after every chunk that is read, and would parse no bytes anew."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def request_began(self, body: StreamReader) -> None:
        """Note that a head is complete."""
        self._busy = True
        self._body = body
        self._head_since = None
        self._break_body()

    def _break_body(self) -> None:
        """Fail a body whose framing is broken: aiohttp only queues the error behind it, and its reader would wait."""
        if self._messages and not self._body.is_eof():
            self._body.set_exception(web.RequestPayloadError("malformed chunk"))

    def log_access(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        response: web.StreamResponse,
        time: float | None,  # noqa: ARG002 - aiohttp's signature
    ) -> None:
        """Note that the answer is written. aiohttp calls this once a request; our own log has been written."""
        self._busy = False
        if self._part_of_head:
            self._head_since = self._loop.time()
        if response.status == RequestBodyTimeout.status or self._body.exception() is not None:
            # aiohttp would wait ten seconds for the rest of a body that does not come.
            self.force_close()

    def head_overdue(self, since: float) -> bool:
        """Tell whether the head awaited began before `since`."""
        return self._head_since is not None and self._head_since < since

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP in the API's shape, and close: nobody knows where the next request starts."""
        if not 400 <= status < 500:  # noqa: PLR2004 - client errors
            return super().handle_error(request, status, exc, message)
        reason = " ".join((message or "").split())[:_REASON_CHARS]
        error = InvalidRequest(f"malformed HTTP request: {reason}")
        head, body = self._refuse(request.remote, error)
        response = web.Response(status=error.status, headers=head, body=body)
        response.force_close()
        return response
