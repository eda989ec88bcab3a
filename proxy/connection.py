"""The server's side of a connection: how many there are, how long a head may take, how bad HTTP is answered.

aiohttp bounds neither a connection's count nor the time a head takes. Both are kept here with one timer for all
connections, through public hooks of `web.RequestHandler`, and its queue of parsed messages.
"""

import asyncio
import logging
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.streams import EMPTY_PAYLOAD

from proxy import headers
from proxy.access_log import AccessLog
from proxy.config import Config
from proxy.errors import (
    REQUEST_ID,
    InvalidRequest,
    Overloaded,
    ProxyError,
    RequestBodyTimeout,
)
from proxy.exchange import Exchange

_log = logging.getLogger(__name__)

_REASON_CHARS = 200
_BLANK_LINE = b"\r\n\r\n"
_REFUSAL_LINGER_S = 2.0
_REFUSALS_AT_ONCE = 1000


class Connection(web.RequestHandler):
    """One client connection of a gateway that serves itself."""

    __slots__ = ("_body", "_busy", "_head_since", "_listener", "_part_of_head")

    def __init__(self, listener: "Listener", server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._listener = listener
        self._busy = False
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_since: float | None = None
        self._part_of_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        self._head_since = self._loop.time()
        self._listener.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._listener.connections.discard(self)
        super().connection_lost(exc)

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
            return len(data) - data.rfind(_BLANK_LINE) - len(_BLANK_LINE) > body.total_bytes
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
        """Answer what is not HTTP, in the API's shape; close, since nobody knows where the next request starts."""
        if not 400 <= status < 500:  # noqa: PLR2004 - client errors
            return super().handle_error(request, status, exc, message)
        reason = " ".join((message or "").split())[:_REASON_CHARS]
        error = InvalidRequest(f"malformed HTTP request: {reason}")
        head, body = self._listener.refuse(request.remote, error)
        response = web.Response(status=error.status, headers=head, body=body)
        response.force_close()
        return response


class Listener:
    """Makes a `Connection` for each client that connects, and closes those that are slow with a head.

    It is the protocol factory for `loop.create_server`.
    """

    def __init__(self, server: web.Server, config: Config, access_log: AccessLog) -> None:
        self._server = server
        self._options = {"access_log": None, "auto_decompress": False, "keepalive_timeout": 75.0}
        self._max_connections = config.limits.max_connections
        self._request_head_s = config.timeouts.request_head_s
        self._access_log = access_log
        self._timer: asyncio.TimerHandle | None = None
        self.connections: set[Connection] = set()
        self.refusals: set[asyncio.BaseProtocol] = set()
        make_request = server.request_factory

        def noted(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
            protocol.request_began(payload)
            return make_request(message, payload, protocol, writer, task)

        server.request_factory = noted
        self._look()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        if len(self.connections) >= self._max_connections:
            return _Refusal(self, mute=len(self.refusals) >= _REFUSALS_AT_ONCE)
        return Connection(self, self._server, **self._options)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def refuse(self, client: str | None, error: ProxyError) -> tuple[dict[str, str], bytes]:
        """Log a request that no handler sees, and give headers and body of its answer."""
        exchange = Exchange(method="-", path="-", client=client)
        exchange.fail(error)
        exchange.answered(error.status)
        body = error.body(exchange.request_id)
        exchange.bytes_out = len(body)
        self._access_log.write(exchange)
        head = {
            REQUEST_ID: exchange.request_id,
            headers.CONTENT_TYPE: "application/json",
            **error.headers(),
        }
        return head, body

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - self._request_head_s
        for connection in [each for each in self.connections if each.head_overdue(since)]:
            _log.info("closed a connection whose request head took over %g s", self._request_head_s)
            connection.force_close()
        self._timer = loop.call_later(min(self._request_head_s / 10, 1.0), self._look)


class _Refusal(asyncio.Protocol):
    """Answers one connection too many: 529 and a close that lets the client read it."""

    def __init__(self, listener: Listener, *, mute: bool) -> None:
        self._listener = listener
        self._mute = mute
        self._transport: asyncio.Transport | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if self._mute:
            transport.abort()
            return
        self._listener.refusals.add(self)
        asyncio.get_running_loop().call_later(_REFUSAL_LINGER_S, transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the request is not read
        # Only once the client has spoken: a close with unread bytes would be a reset, and the answer lost.
        if self._answered or self._transport is None:
            return
        self._answered = True
        client = self._transport.get_extra_info("peername")
        error = Overloaded("too many connections; try again", "too_many_connections")
        fields, body = self._listener.refuse(client[0] if client else None, error)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(
            b"HTTP/1.1 529 Overloaded\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"
            % (head.encode(), len(body), body)
        )
        self._transport.write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - either way it is gone
        self._listener.refusals.discard(self)
