"""Who may connect: how many connections there are, of all and of one client, and what one too many is told.

aiohttp bounds neither. The clock over all connections is here, too.
"""

import asyncio
import functools
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import HttpVersion11, hdrs, web

from proxy import errors
from proxy.access.client_address import TrustedProxies
from proxy.api.probes import HEALTHY
from proxy.causes import Cause
from proxy.config import Config
from proxy.errors import Overloaded, ProxyError
from proxy.exchange import Exchange
from proxy.gateway import Connected
from proxy.notices.notice import notice
from proxy.received import Received
from proxy.server.connection import Connection, Counted, TlsConnection
from proxy.server.open_files import FileReserve
from proxy.server.refusal import Refusal
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
        self,
        server: web.Server,
        config: Config,
        ended: Callable[[Exchange], None],
        is_leaving: Callable[[], bool] = bool,
    ) -> None:
        self._server = server
        self._ended = ended
        self._files = FileReserve()
        self.change(config)
        base = re.escape(config.listen.base_path.encode())
        self._health = re.compile(rb"(GET|HEAD|OPTIONS) ((?:%b)?/healthz)[? ]" % base)
        self._timer: asyncio.TimerHandle | None = None
        self.registry = Registry[Counted]()
        self.refusals: set[asyncio.BaseProtocol] = set()
        self._refused = 0
        make_request = server.request_factory

        # More arguments than these may come: aiohttp has given some of its own later.
        def begin_request(message: Any, body: Any, protocol: Any, writer: Any, *rest: Any) -> Any:
            # Of chunks, proxy/trailers.py says why. An error in a request's place closes, and has no fields.
            if not message.should_close and (
                message.chunked
                or is_leaving()
                or (message.version is not HttpVersion11 and not _asks_to_stay(message))
            ):
                message = message._replace(should_close=True)
            protocol.request_began(message, body, writer)
            return make_request(message, body, protocol, writer, *rest)

        server.request_factory = begin_request
        self._look()

    def change(self, config: Config) -> None:
        """Treat the connections that are opened from now on as a configuration says."""
        self._limits = config.limits
        self._timeouts = timeouts = config.timeouts
        self._trusted = TrustedProxies(config.trusted_proxies)
        shortest_s = min(timeouts.request_head_s, timeouts.idle_s, timeouts.client_idle_s)
        self._period_s = min(shortest_s / _LOOKS_PER_TIMEOUT, _LONGEST_PERIOD_S)
        self._standstill = Standstill(self._period_s)

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return Connection(self._server, self.registry, self._timeouts, self.admit, self.refuse)

    def take_over(self, counted: Counted) -> Connection:
        """Make the protocol of a connection over TLS, which has been counted since before its handshake."""
        connection = TlsConnection(
            self._server, self.registry, self._timeouts, _is_admitted, self.refuse
        )
        connection.is_stranger = counted.is_stranger
        self.registry.replace(counted, connection)
        return connection

    @property
    def request_head_s(self) -> float:
        """How long a client may take for a handshake, and for a head."""
        return self._timeouts.request_head_s

    def admit(self, connection: Counted, address: str | None) -> asyncio.Protocol | None:
        """Count a connection, or return what refuses it: its client has too many, or all together are too many."""
        limits, client = self._limits, None
        if self._trusted.trusts(address):
            connection.is_stranger = False
        elif limits.max_connections_per_client and address:
            client = client_of(address)
            if self.registry.of(client) >= limits.max_connections_per_client:
                _log.warning(
                    "refused connections: one client has %d (limits.max_connections_per_client)",
                    limits.max_connections_per_client,
                    extra=notice(Cause.TOO_MANY_CONNECTIONS),
                )
                return self._refusal(address)
        if len(self.registry.open) >= limits.max_connections or self._files.is_reached():
            idle = self.registry.longest_idle()
            if idle is None:
                _log.warning(
                    "refused connections: %d are open (limits.max_connections, or that of files), none of them idle",
                    len(self.registry.open),
                    extra=notice(Cause.TOO_MANY_CONNECTIONS),
                )
                return self._refusal(address)
            idle.give_way()
        self.registry.add(connection, client)
        return None

    def connected(self) -> Connected:
        """Return how many connections are open, and how many were refused."""
        return Connected(len(self.registry.open), self._refused)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def refuse(self, client: str | None, error: ProxyError) -> tuple[dict[str, str], bytes]:
        """Log a request that no handler sees, and return headers and body of its response."""
        exchange = Exchange(Received("-", "-", client))
        exchange.fail(error)
        head, body = errors.render(error, exchange.request_id)
        self._end_unseen(exchange, error.status, body)
        return head, body

    def _end_unseen(self, exchange: Exchange, status: int, body: bytes) -> None:
        exchange.response_started(status)
        exchange.bytes_out = len(body)
        self._ended(exchange)

    def _refusal(self, address: str | None) -> Refusal:
        self._refused += 1
        most = min(_REFUSALS_AT_ONCE, self._files.refusals)
        respond = functools.partial(self._respond, address)
        return Refusal(self.refusals, respond, mute=len(self.refusals) >= most)

    def _respond(self, client: str | None, data: bytes) -> bytes:
        """Return the response to the first bytes on a connection that is refused."""
        asked = self._health.match(data)
        if asked is None:
            error = Overloaded("too many connections; try again", Cause.TOO_MANY_CONNECTIONS)
            return _framed(b"529 Overloaded", *self.refuse(client, error))
        # A supervisor that restarts what is not alive must not restart the gateway that has the most to do.
        exchange = Exchange(Received(asked[1].decode(), asked[2].decode(), client))
        exchange.is_probe = True
        framed = _framed(b"200 OK", errors.head(exchange.request_id), HEALTHY)
        body = b"" if exchange.received.method == hdrs.METH_HEAD else HEALTHY
        self._end_unseen(exchange, 200, body)
        return framed.removesuffix(HEALTHY) + body

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        # First: whatever becomes of one connection, the clock of all goes on.
        self._timer = loop.call_later(self._period_s, self._look)
        now = loop.time()
        if not self._standstill.before(now):
            for connection in tuple(self.registry.open):
                connection.look(now)


def _asks_to_stay(message: Any) -> bool:
    """Return whether a request of HTTP/1.0 wants the connection kept: aiohttp also takes a word to a proxy for that."""
    lines = message.headers.getall(hdrs.CONNECTION, ())
    return any(each.strip().lower() == "keep-alive" for line in lines for each in line.split(","))


def _is_admitted(_connection: Connection, _address: str | None) -> None:
    """Refuse nobody."""


def _framed(status: bytes, fields: Mapping[str, str], body: bytes) -> bytes:
    """Frame a response behind which the connection closes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return b"HTTP/1.1 %b\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        lines.encode(),
        len(body),
        body,
    )
