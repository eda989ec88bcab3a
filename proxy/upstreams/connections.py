"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing that may have been served, and billed, is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies at once, without a byte of an answer, and the request goes out once more
on a connection of its own.
"""

import functools
import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from proxy.aiohttp_fast import (
    Client,
    Pieces,
    RequestTemplate,
    StaleConnectionError,
    UpstreamResponse,
)
from proxy.causes import Cause
from proxy.config import Timeouts, Upstream
from proxy.exchange import Exchange, Phase
from proxy.progress import Progress
from proxy.protocol import headers
from proxy.upstreams.credentials import own_headers
from proxy.upstreams.failures import to_proxy_error
from proxy.upstreams.proxies import proxy_for

_log = logging.getLogger(__name__)

_CACHED_TEMPLATES = 1024
_NEVER_SENT = (Cause.UPSTREAM_UNREACHABLE, Cause.UNSENDABLE_HEADER, Cause.OUT_OF_FILES)


class UpstreamTemplate:
    """What the requests to one upstream have in common.

    Args:
        upstream: of the configuration.
        environ: whose variables name the proxy on the way.

    Attributes:
        name: of the upstream.
        headers: renders the client's headers with the upstream's own.
        proxy: on the way; None: there is none.
        where: its host and port, and the proxy, for the log.

    Raises:
        ValueError: one of its headers cannot be sent.
        ProxyUnusableError: the environment names a proxy for it that is no HTTP proxy.
    """

    def __init__(self, upstream: Upstream, environ: Mapping[str, str] = os.environ) -> None:
        self.name = upstream.name
        self.upstream = upstream
        # What the body is was found out here, so it is said here, whatever the client has called it.
        label = (headers.CONTENT_TYPE, headers.JSON)
        self.headers = headers.RequestHeaders((label, *own_headers(upstream)))
        url = URL(upstream.base_url, encoded=True)
        self.proxy = proxy_for(url, environ)
        self.where = f"{url.host_subcomponent}:{url.port}"
        if self.proxy is not None:
            self.where += f" through the proxy {self.proxy.url}"
        self._base_url = upstream.base_url
        self._request = functools.lru_cache(_CACHED_TEMPLATES)(self._make_request)

    def announce(self) -> None:
        """Say in the log through which proxy it is reached, if through one."""
        if self.proxy is not None:
            _log.info(
                "upstream %s is reached through the proxy %s, which %s names",
                self.name,
                self.proxy.url,
                self.proxy.variable,
            )

    def request(self, path_qs: str, client: str) -> RequestTemplate:
        """Return what a request asks of the connector.

        Args:
            path_qs: path and query below the base URL, sent as they are.
            client: whose request it is; each has connections of its own, so that what an upstream says too late
                reaches no other.
        """
        return self._request(path_qs, client)

    def _make_request(self, path_qs: str, client: str) -> RequestTemplate:
        url = URL(self._base_url + path_qs, encoded=True)
        if self.proxy is None:
            return RequestTemplate(url, client)
        return RequestTemplate(url, client, self.proxy.url, self.proxy.authorization)


class UpstreamConnections:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        self._client = Client(self._timeouts.connect_s)
        return self

    def change(self, timeouts: Timeouts) -> None:
        """Have other timeouts for later requests; open connections stay."""
        self._timeouts = timeouts
        if self._client is not None:
            self._client.connect_within(timeouts.connect_s)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def post(
        self,
        exchange: Exchange,
        upstream: UpstreamTemplate,
        path_qs: str,
        inbound: web.Request,
        body: Pieces,
    ) -> UpstreamResponse:
        """Send a request to an upstream.

        Args:
            exchange: waits for the head; its interruption ends the wait.
            upstream: where to.
            path_qs: path and query below the base URL, sent as they are.
            inbound: the client's request, whose headers go on.
            body: sent with its length.

        Returns:
            The response, to be read to its end or closed. Its body is not decoded.

        Raises:
            UpstreamFailed, UpstreamTimeout: there is no response.
        """
        if self._client is None:
            raise RuntimeError("the connections are not open")
        template = upstream.request(path_qs, exchange.key.name if exchange.key is not None else "")
        try:
            with exchange.waiting(Phase.RESPONSE_HEAD):
                fields = upstream.headers.render(inbound.raw_headers, inbound.headers)
                try:
                    return await self._client.post(template, fields, body, exchange.sent)
                except StaleConnectionError:
                    return await self._client.post(
                        template, fields, body, exchange.sent, pooled=False
                    )
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            failure = to_proxy_error(error, exchange, upstream.where)
            if failure.cause in _NEVER_SENT:
                exchange.progress = Progress.UNSENT
            raise failure from error
