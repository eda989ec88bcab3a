"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing that may have been served, and billed, is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies at once, without a byte of an answer, and the request goes out once more
on a connection of its own.
"""

import functools
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from proxy.aiohttp_fast.client import (
    Pieces,
    RequestTemplate,
    StaleConnectionError,
    UpstreamResponse,
    connector,
    post,
)
from proxy.config import Timeouts, Upstream
from proxy.exchange import Exchange, Phase
from proxy.protocol import headers
from proxy.upstreams.credentials import own_headers
from proxy.upstreams.failures import to_proxy_error

_CACHED_TEMPLATES = 1024


class UpstreamTemplate:
    """What the requests to one upstream have in common.

    Attributes:
        name: of the upstream.
        base_url: of its configuration.
        headers: renders the client's headers with the upstream's own.

    Raises:
        ValueError: one of its headers cannot be sent.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.name = upstream.name
        self.base_url = upstream.base_url
        self.headers = headers.RequestHeaders(own_headers(upstream))


class UpstreamConnections:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._pooled = _session(self._timeouts, force_close=False)
        self._fresh = _session(self._timeouts, force_close=True)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()

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
        if self._pooled is None or self._fresh is None:
            raise RuntimeError("the pool is not open")
        template = _template(upstream.base_url, path_qs)
        try:
            with exchange.waiting(Phase.RESPONSE_HEAD):
                connection = inbound.headers.getall(headers.CONNECTION, ())
                fields = upstream.headers.render(inbound.raw_headers, connection)
                try:
                    return await post(self._pooled, template, fields, body)
                except StaleConnectionError:
                    return await post(self._fresh, template, fields, body)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise to_proxy_error(error, upstream.name) from error


def _session(timeouts: Timeouts, *, force_close: bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector(force_close=force_close),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
    )


@functools.lru_cache(_CACHED_TEMPLATES)
def _template(base_url: str, path_qs: str) -> RequestTemplate:
    return RequestTemplate(URL(base_url + path_qs, encoded=True))
