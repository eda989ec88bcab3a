"""How a request travels on an upstream connection: over a pool of ours, past `ClientSession._request`.

`ClientSession._request` makes each request anew for cookies, redirects, proxies, traces and forms, none of which a
gateway has, and sends its body from a task. Here a request enters at the connector, in one write. The plain twin,
`plain_client.py`, says what is to be done.
Costs 490 µs of CPU per request instead of 680 (CPython 3.11).

This rests on aiohttp's internals: tests/unit/test_aiohttp_facts.py names them and fails when aiohttp changes them.
"""

import asyncio
import functools
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.http_parser import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

from proxy.aiohttp_fast.idle import Pool, Pools
from proxy.aiohttp_fast.resolver import Resolver
from proxy.aiohttp_fast.twins import (
    MAX_INTERIM_HEADS,
    Pieces,
    Response,
    Sender,
    StaleConnectionError,
    TooManyInterimHeadsError,
    refuse_controls,
)
from proxy.aiohttp_fast.upstream_connection import UpstreamConnection

_CONTINUE = 100
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_LOST = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
)


class RequestTemplate(aiohttp.ClientRequest):
    """Where requests of one URL go: what a connector asks of a request, made once instead of for each.

    Args:
        url: of the upstream.
        client: whose requests they are. Connections are pooled for each client apart.
        proxy: on the way; None: there is none.
        proxy_authorization: the value of `Proxy-Authorization`; None: the proxy wants none.
        tls: how the upstream is spoken to; True: as everybody is.
    """

    connection_key: Any = None  # aiohttp's is a property, worked out at each request
    # Of the connections it may use again; the client's to set.
    pool: Pool | None = None

    def __init__(
        self,
        url: URL,
        client: str,
        proxy: URL | None = None,
        proxy_authorization: str | None = None,
        *,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self.url = self.original_url = url
        self.proxy = self.proxy_auth = self.proxy_headers = self.server_hostname = None
        self._ssl = tls
        path, fields = url.raw_path_qs, f"Host: {url.host_port_subcomponent}\r\n"
        if proxy is not None and url.scheme == "https":
            # A tunnel: the connector asks the proxy for it by CONNECT, with these.
            self.proxy = proxy
            self.headers = CIMultiDict({hdrs.HOST: f"{url.host_subcomponent}:{url.port}"})
            if proxy_authorization is not None:
                given = {hdrs.PROXY_AUTHORIZATION: proxy_authorization}
                self.proxy_headers = CIMultiDict(given)
        elif proxy is not None:
            # Asked like an origin, for the whole URL (RFC 9112, section 3.2.2).
            self.url = proxy
            path = f"http://{url.host_port_subcomponent}{path}"
            if proxy_authorization is not None:
                fields += f"{hdrs.PROXY_AUTHORIZATION}: {proxy_authorization}\r\n"
        # Its field for headers to a proxy tells pools apart as well as theirs do.
        apart = (client, proxy_authorization)
        self.connection_key = super().connection_key._replace(proxy_headers_hash=apart)  # type: ignore[arg-type] # only compared
        self.head_start = f"POST {path} HTTP/1.1\r\n{fields}".encode("utf-8", "surrogateescape")


class UpstreamResponse(Response):
    """A response on a connection, which goes back to its pool at the response's end; without one, it is closed then."""

    __slots__ = ("_connection", "_pool", "_protocol")

    def __init__(
        self,
        connection: Connection,
        protocol: UpstreamConnection,
        message: RawResponseMessage,
        content: aiohttp.StreamReader,
        pool: Pool | None,
    ) -> None:
        self.status = message.code
        self.is_success = 200 <= message.code < 300  # noqa: PLR2004 - as the attribute says
        self.reason = message.reason
        self.headers = message.headers
        self.content = content
        self._connection: Connection | None = connection
        self._protocol = protocol
        self._pool = pool
        content.on_eof(self._release)
        if self._connection is None:
            # All of it came with its head: nobody has looked yet whether more came.
            protocol.close_if_more_came()

    @property
    def connection(self) -> UpstreamConnection | None:
        """What the body comes on; None once all of it has come."""
        return None if self._connection is None else self._protocol

    def _release(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            protocol = self._protocol
            if self._pool is None or protocol.should_close:
                connection.close()
            else:
                self._pool.put(connection)
            protocol.answered(self.status, self.headers)

    def close(self) -> None:
        """Break it off, unless all of it has come."""
        if self._connection is not None:
            # The connection would keep who listens, and with it the request.
            self._protocol.on_data = None
            self._connection.close()
            self._connection = None
            # The body would keep this answer, and this answer the body.
            self.content.set_exception(aiohttp.ClientConnectionError("closed"))


class Client(Sender):
    """Sends each request on a connection of a pool, or on one of its own."""

    def __init__(self, connect_s: float, keepalive_s: float) -> None:
        self._connector = _connector()
        self._pools = Pools(keepalive_s)
        self.connect_within(connect_s)

    def connect_within(self, connect_s: float) -> None:
        """Give later requests so long to connect; as `Sender.connect_within`."""
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)

    async def close(self) -> None:
        """Close every connection."""
        self._pools.close()
        await self._connector.close()

    async def post(
        self,
        template: RequestTemplate,
        fields: bytes,
        body: Pieces,
        on_sent: Callable[[], None],
        *,
        pooled: bool = True,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response; as `Sender.post`."""
        pool = (template.pool or self._pool_of(template)) if pooled else None
        closing = b"" if pooled else b"Connection: close\r\n"
        length = sum(map(len, body))
        head = b"%b%bContent-Length: %d\r\n%b\r\n" % (template.head_start, fields, length, closing)
        refuse_controls(head)
        connection = pool.take() if pool is not None else None
        if connection is None:
            connection = await self._connect(template)
        protocol = connection.protocol
        if not isinstance(protocol, UpstreamConnection):
            connection.close()
            raise TypeError("the connector makes another protocol than it was told to")
        try:
            on_sent()
            protocol.ask(head, body, length)
            for _ in range(MAX_INTERIM_HEADS + 1):
                message, content = await protocol.read()
                code = message.code
                if not _CONTINUE <= code < _FIRST_FINAL or code == _SWITCHING_PROTOCOLS:
                    return UpstreamResponse(connection, protocol, message, content, pool)
            raise TooManyInterimHeadsError  # noqa: TRY301 - as any other failure
        except BaseException as error:
            connection.close()
            if isinstance(error, _LOST) and protocol.was_stale():
                raise StaleConnectionError from error
            raise

    async def _connect(self, template: RequestTemplate) -> Connection:
        try:
            return await self._connector.connect(template, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    def _pool_of(self, template: RequestTemplate) -> Pool:
        pool = template.pool = self._pools.of(template.connection_key)
        return pool


def _connector() -> aiohttp.TCPConnector:
    """Make a connector whose connections are `UpstreamConnection`s, as many as are needed."""
    made = aiohttp.TCPConnector(limit=0, resolver=Resolver())
    factory: functools.partial[Any] = functools.partial(
        UpstreamConnection, asyncio.get_running_loop()
    )
    made._factory = factory  # noqa: SLF001 - the connector has no public hook for this
    return made
