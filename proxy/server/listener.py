"""Who may connect: how many connections there are, of all and of one client, and how one too many is refused.

aiohttp bounds neither. The clock over all connections is here, too.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from proxy import errors
from proxy.access.client_address import TrustedProxies
from proxy.causes import Cause
from proxy.config import Config
from proxy.errors import Overloaded, ProxyError
from proxy.exchange import Exchange
from proxy.received import Received
from proxy.server.connection import Connection
from proxy.server.lingering import LINGER_S, close_behind
from proxy.server.open_files import FileReserve
from proxy.server.registry import Registry, client_of
from proxy.standstill import Standstill

_log = logging.getLogger(__name__)

_REFUSALS_AT_ONCE = 1000
_LONGEST_PERIOD_S = 1.0
_LOOKS_PER_TIMEOUT = 10


class Listener:
    """Makes a `Connection` for each client that connects, and looks now and then whether it takes too long.

    It is the protocol factory for `loop.create_server`.
    """

    def __init__(
        self, server: web.Server, config: Config, ended: Callable[[Exchange], None]
    ) -> None:
        self._server = server
        self._limits = config.limits
        self._timeouts = timeouts = config.timeouts
        self._ended = ended
        self._files = FileReserve()
        self._trusted = TrustedProxies(config.trusted_proxies)
        self._timer: asyncio.TimerHandle | None = None
        shortest_s = min(timeouts.request_head_s, timeouts.idle_s, timeouts.client_idle_s)
        self._period_s = min(shortest_s / _LOOKS_PER_TIMEOUT, _LONGEST_PERIOD_S)
        self._standstill = Standstill(self._period_s)
        self.registry = Registry[Connection]()
        self.refusals: set[asyncio.BaseProtocol] = set()
        make_request = server.request_factory

        def noted(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
            protocol.request_began(message, payload, writer)
            return make_request(message, payload, protocol, writer, task)

        server.request_factory = noted
        self._look()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return Connection(self._server, self.registry, self._timeouts, self.admit, self.refuse)

    def admit(self, connection: Connection, address: str | None) -> asyncio.Protocol | None:
        """Count a connection, or return what refuses it: its client has too many, or all together are too many."""
        limits, client = self._limits, None
        if limits.max_connections_per_client and address and not self._trusted.trusts(address):
            client = client_of(address)
            if self.registry.of(client) >= limits.max_connections_per_client:
                _log.warning(
                    "refused connections: one client has %d (limits.max_connections_per_client)",
                    limits.max_connections_per_client,
                )
                return self._refusal(address)
        if len(self.registry.open) >= limits.max_connections or self._files.is_reached():
            idle = self.registry.longest_idle()
            if idle is None:
                _log.warning(
                    "refused connections: %d are open (limits.max_connections, or that of files), none of them idle",
                    len(self.registry.open),
                )
                return self._refusal(address)
            idle.give_way()
        self.registry.add(connection, client)
        return None

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def refuse(self, client: str | None, error: ProxyError) -> tuple[dict[str, str], bytes]:
        """Log a request that no handler sees, and return headers and body of its response."""
        exchange = Exchange(Received("-", "-", client))
        exchange.fail(error)
        exchange.response_started(error.status)
        head, body = errors.render(error, exchange.request_id)
        exchange.bytes_out = len(body)
        self._ended(exchange)
        return head, body

    def _refusal(self, address: str | None) -> "_Refusal":
        most = min(_REFUSALS_AT_ONCE, self._files.refusals)
        return _Refusal(self, address, mute=len(self.refusals) >= most)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        # First: whatever becomes of one connection, the clock of all goes on.
        self._timer = loop.call_later(self._period_s, self._look)
        now = loop.time()
        if not self._standstill.before(now):
            for connection in tuple(self.registry.open):
                connection.look(now)


class _Refusal(asyncio.Protocol):
    """Answers one connection too many: 529 and a close that lets the client read it."""

    def __init__(self, listener: Listener, client: str | None, *, mute: bool) -> None:
        self._listener = listener
        self._client = client
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
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the request is not read
        # Only once the client has spoken: a close with unread bytes would be a reset, and the answer lost.
        if self._answered or self._transport is None:
            return
        self._answered = True
        error = Overloaded("too many connections; try again", Cause.TOO_MANY_CONNECTIONS)
        fields, body = self._listener.refuse(self._client, error)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(
            b"HTTP/1.1 529 Overloaded\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"
            % (head.encode(), len(body), body)
        )
        close_behind(self._transport)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - either way it is gone
        self._listener.refusals.discard(self)
