"""Who may connect: how many connections there are, how long a head may take, how one too many is refused.

aiohttp bounds neither. Both are kept here with one timer for all connections.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from proxy import errors
from proxy.causes import Cause
from proxy.config import Config
from proxy.errors import Overloaded, ProxyError
from proxy.exchange import Exchange, Received
from proxy.server.connection import Connection

_log = logging.getLogger(__name__)

_REFUSAL_LINGER_S = 2.0
_REFUSALS_AT_ONCE = 1000


class Listener:
    """Makes a `Connection` for each client that connects, and closes those that are slow with a head.

    It is the protocol factory for `loop.create_server`.
    """

    def __init__(
        self, server: web.Server, config: Config, ended: Callable[[Exchange], None]
    ) -> None:
        self._server = server
        self._options = {"access_log": None, "auto_decompress": False, "keepalive_timeout": 75.0}
        self._max_connections = config.limits.max_connections
        self._request_head_s = config.timeouts.request_head_s
        self._ended = ended
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
        return Connection(self._server, self.connections, self.refuse, **self._options)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def refuse(self, client: str | None, error: ProxyError) -> tuple[dict[str, str], bytes]:
        """Log a request that no handler sees, and give headers and body of its answer."""
        exchange = Exchange(Received("-", "-", client))
        exchange.fail(error)
        exchange.response_started(error.status)
        head, body = errors.render(error, exchange.request_id)
        exchange.bytes_out = len(body)
        self._ended(exchange)
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
        # Not by isinstance: uvloop's transports are not asyncio.Transports.
        self._transport = cast(asyncio.Transport, transport)
        if self._mute:
            self._transport.abort()
            return
        self._listener.refusals.add(self)
        asyncio.get_running_loop().call_later(_REFUSAL_LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the request is not read
        # Only once the client has spoken: a close with unread bytes would be a reset, and the answer lost.
        if self._answered or self._transport is None:
            return
        self._answered = True
        client = self._transport.get_extra_info("peername")
        error = Overloaded("too many connections; try again", Cause.TOO_MANY_CONNECTIONS)
        fields, body = self._listener.refuse(client[0] if client else None, error)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(
            b"HTTP/1.1 529 Overloaded\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"
            % (head.encode(), len(body), body)
        )
        self._transport.write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - either way it is gone
        self._listener.refusals.discard(self)
