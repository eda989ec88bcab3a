"""The server's side of a connection: how long it waits for what, when it ends, and how bad HTTP is answered.

A connection is idle until a byte of a request comes; then in a head until that is whole; then busy until its response
is written.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast

from aiohttp import HttpVersion11, StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from proxy.api.context import EXCHANGE
from proxy.config import Timeouts
from proxy.errors import ProxyError, RequestBodyTimeout
from proxy.server import malformed
from proxy.server.half_closed import LeaveProbe
from proxy.server.intake import Intake
from proxy.server.lingering import close_behind
from proxy.server.registry import Registry
from proxy.server.unread import Unread, waiting_bytes

_log = logging.getLogger(__name__)

_STRANGER_IDLE_S = 10.0
_MAX_WAITING_BYTES = 1 << 16

# Counts a connection that a client has opened, or returns what answers the client instead.
Admit = Callable[["Connection", str | None], asyncio.Protocol | None]
# Logs a request that no handler sees; returns headers and body of its response.
Refuse = Callable[[str | None, ProxyError], tuple[dict[str, str], bytes]]


class Counted(Protocol):
    """What a client has opened, whether it is served yet or not."""

    is_stranger: bool

    def look(self, now: float) -> None:
        """End it if it takes too long."""

    def give_way(self) -> None:
        """Close it for a new one."""


class Connection(Intake):
    """One client connection of a gateway that serves itself.

    Attributes:
        is_encrypted: whether it is TLS.
        is_stranger: it has brought no good key yet, and comes from no trusted proxy; then it is idle for a short time.
    """

    is_encrypted: ClassVar[bool] = False

    __slots__ = (
        *("_admit", "_at_eof", "_ended", "_head_since", "_idle_since", "_lingers", "_refuse"),
        *("_registry", "_socket", "_timeouts", "_unread", "_version", "_writer", "is_stranger"),
    )

    def __init__(
        self,
        server: web.Server,
        registry: "Registry[Counted]",
        timeouts: Timeouts,
        admit: Admit,
        refuse: Refuse,
    ) -> None:
        """Take what a connection is served with.

        Args:
            server: makes and answers requests.
            registry: this one is in it while it is open.
            timeouts: of the configuration.
            admit: asked when the client has connected.
            refuse: called for what is not HTTP.
        """
        super().__init__(
            server, access_log=None, auto_decompress=False, keepalive_timeout=timeouts.client_idle_s
        )
        self._registry = registry
        self._timeouts = timeouts
        self._admit = admit
        self._refuse = refuse
        self._socket: asyncio.Transport | None = None  # aiohttp's is None once it has closed it
        self.is_stranger = True
        self._version = HttpVersion11
        self._writer: AbstractStreamWriter | None = None
        self._head_since: float | None = None
        self._idle_since: float | None = None
        self._at_eof = False
        self._ended = False
        self._lingers = False
        self._unread = Unread(timeouts.idle_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        peer = transport.get_extra_info("peername")
        # Not by isinstance: uvloop's transports are not asyncio.Transports.
        self._socket = socket = cast(asyncio.Transport, transport)
        if (instead := self._admit(self, peer[0] if peer else None)) is not None:
            socket.set_protocol(instead)
            instead.connection_made(socket)
            return
        self._head_since = self.clock()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._registry.remove(self)
        self._socket = None
        super().connection_lost(exc)

    def head_arrives(self, *, whole: bool) -> None:
        """Be idle no more; a head that is not whole is timed from its first byte."""
        self._registry.wakes(self)
        self._idle_since = None
        if not whole and self._head_since is None:
            self._head_since = self.clock()

    def request_began(self, message: Any, body: StreamReader, writer: AbstractStreamWriter) -> None:
        """Wait for no head any more."""
        self._head_since = None
        self._version = message.version
        self._writer = writer
        Intake.request_began(self, message, body, writer)

    def log_access(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        time: float | None,  # noqa: ARG002 - aiohttp's signature
    ) -> None:
        """Note that the response is written. aiohttp calls this once per request; our own log has been written."""
        self._busy = False
        if self.is_stranger and (exchange := request.get(EXCHANGE)) is not None:
            self.is_stranger = exchange.key is None
        if self._version is not HttpVersion11 and hdrs.CONTENT_LENGTH not in response.headers:
            response.force_close()  # nothing else tells a client of HTTP/1.0 where the body ends
        if response.status == RequestBodyTimeout.status:
            self.force_close()  # aiohttp would wait ten seconds for the rest of a body that does not come
        elif self._body.exception() is not None:
            self._lingers = True
            response.force_close()
        if self._lines.waiting_bytes and not self._at_eof:
            self._head_since = self.clock()
        elif not self.queue:
            if self._at_eof:
                response.force_close()
            self._registry.rests(self)
            self._idle_since = self.clock()

    def eof_received(self) -> bool:  # type: ignore[override] # aiohttp's returns None, which closes
        """Keep the connection of a client that has closed its sending side while it waits for its response."""
        if self._at_eof:
            return True
        transport = self._socket
        if (
            transport is not None
            and self._version is HttpVersion11
            and self._last_body().is_eof()
            and self._awaits_response()
        ):
            self._at_eof = True
            LeaveProbe(transport, self._awaits_response)
        return self._at_eof

    def _awaits_response(self) -> bool:
        """Return whether a request is to be answered, and nothing of its response has been sent."""
        if self._ended:
            return False
        if not self._busy:
            return bool(self.queue)
        return self._writer is not None and not self._writer.output_size

    def end(self, transport: asyncio.Transport) -> None:
        """Close the connection, so that a client that still sends can read its response."""
        self._ended = True
        still_sends = self._lingers or not self._body.is_eof()
        if still_sends and not (self._at_eof or transport.is_closing()):
            close_behind(transport)
        else:
            super().end(transport)

    def look(self, now: float) -> None:
        """End the connection of a client that takes too long for what is awaited of it."""
        transport, limits = self._socket, self._timeouts
        if transport is None:
            return
        # While it is busy, its exchange has a clock for what waits, which knows the cause.
        waiting = waiting_bytes(transport, hides=self.is_encrypted and not self._busy)
        if self._unread.too_long(waiting, now):
            _log.info("aborted a connection whose client read nothing for %g s", limits.idle_s)
            transport.abort()
        elif self._head_since is not None:
            if now - self._head_since >= limits.request_head_s:
                self._head_since = None
                _log.info("closed a connection whose head took over %g s", limits.request_head_s)
                self.force_close()
        elif self._idle_since is not None:
            idle_s = limits.client_idle_s
            if now - self._idle_since >= (
                min(idle_s, _STRANGER_IDLE_S) if self.is_stranger else idle_s
            ):
                self._idle_since = None
                self.force_close()

    def give_way(self) -> None:
        """Close an idle connection for a new one."""
        if self._socket is not None:
            self._socket.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP in the API's shape, and close: nobody knows where the next request starts."""
        if isinstance(exc, ConnectionError):
            raise ConnectionResetError from None  # the client has gone; the access log says so
        if status not in malformed.STATUSES:
            return super().handle_error(request, status, exc, message)
        error = malformed.to_proxy_error(status, exc, message or "")
        head, body = self._refuse(request.remote, error)
        response = web.Response(status=error.status, headers=head, body=body)
        response.force_close()
        self._lingers = True
        self.close()
        return response


class TlsConnection(Connection):
    """A connection over TLS."""

    is_encrypted = True

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have as much wait for the client as without TLS, where event loops let it be eight times that."""
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=_MAX_WAITING_BYTES)
        super().connection_made(transport)

    def eof_received(self) -> bool:  # type: ignore[override] # as above
        """Take a client for gone that has closed its sending side: event loops close theirs, too."""
        return False
