"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing that may have been served, and billed, is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies at once, without a byte of an answer, and the request goes out once more
on a connection of its own.
"""

import functools
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
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
from proxy.config_file.tls import context_of
from proxy.exchange import Exchange, Phase
from proxy.progress import Progress
from proxy.protocol import headers, traceparent
from proxy.upstreams import dialects
from proxy.upstreams.credentials import own_headers
from proxy.upstreams.failures import to_proxy_error
from proxy.upstreams.proxies import proxy_of
from proxy.upstreams.tracing import own_span

_log = logging.getLogger(__name__)

_CACHED_TEMPLATES, _MAX_CACHED_CHARS = 1024, 200  # clients choose queries, of any length
_UNAUTHORIZED = int(HTTPStatus.UNAUTHORIZED)
_NEVER_SENT = (Cause.UPSTREAM_UNREACHABLE, Cause.UNSENDABLE_HEADER, Cause.OUT_OF_FILES)


class UpstreamTemplate:
    """What the requests to one upstream have in common.

    Args:
        upstream: of the configuration.
        environ: whose variables name the proxy on the way.
        token: what its command has printed; None: nothing, or there is none.
        is_traced: whether it is told the gateway's own span.

    Attributes:
        upstream: of the configuration.
        name: of the upstream.
        is_rewritten: whether a request to it is put in its own words.
        is_traced: as given.
        headers: renders the client's headers with the upstream's own.
        proxy: on the way; None: there is none.
        tls: how it is spoken to; True: as everybody is.
        where: its host and port, and the proxy, for the log.

    Raises:
        ValueError: one of its headers cannot be sent.
        ProxyUnusableError: the environment names a proxy for it that is no HTTP proxy.
        OSError: a file of its TLS cannot be used.
    """

    def __init__(
        self,
        upstream: Upstream,
        environ: Mapping[str, str] = os.environ,
        token: str | None = None,
        *,
        is_traced: bool = False,
    ) -> None:
        self.is_traced = is_traced
        self.name = upstream.name
        self.upstream = upstream
        self.is_rewritten = dialects.is_rewritten(upstream)
        self.present(token)
        url = URL(upstream.base_url, encoded=True)
        self.proxy = proxy_of(upstream, environ)
        self.tls = context_of(upstream.tls)
        self.where = f"{url.host_subcomponent}:{url.port}"
        if self.proxy is not None:
            self.where += f" through the proxy {self.proxy.url}"
        self._base_url = upstream.base_url
        self._request = functools.lru_cache(_CACHED_TEMPLATES)(self._make_request)

    def is_of(self, upstream: Upstream) -> bool:
        """Return whether it would be made of an upstream as it is; its files may have changed."""
        return upstream == self.upstream and context_of(upstream.tls) is self.tls

    def present(self, token: str | None) -> None:
        """Send this token from now on, when a command prints the upstream's."""
        upstream = self.upstream
        # What the body is was found out here, so it is said here, whatever the client has called it.
        label = (headers.CONTENT_TYPE, headers.JSON)
        # In place of the client's, when each request gets its own.
        parent = ((traceparent.HEADER, None),) if self.is_traced else ()
        ours = (label, *own_headers(upstream, token), *parent)
        self.headers = headers.RequestHeaders(ours, upstream.betas, upstream.drop.betas)

    def announce(self) -> None:
        """Say in the log through which proxy it is reached, if through one, and what it does not get."""
        if dropped := (*self.upstream.drop.betas, *self.upstream.drop.members):
            _log.info("upstream %s gets none of: %s", self.name, ", ".join(dropped))
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
        make = self._request if len(path_qs) <= _MAX_CACHED_CHARS else self._make_request
        return make(path_qs, client)

    def _make_request(self, path_qs: str, client: str) -> RequestTemplate:
        url = URL(self._base_url + path_qs, encoded=True)
        if self.proxy is None:
            return RequestTemplate(url, client, tls=self.tls)
        proxy = self.proxy
        return RequestTemplate(url, client, proxy.url, proxy.authorization, tls=self.tls)


# Given an upstream that has refused the gateway's credential, and the headers that it was sent: returns those with a
# newer one; None when there is none.
Renew = Callable[
    [UpstreamTemplate, headers.RequestHeaders], Awaitable[headers.RequestHeaders | None]
]


class UpstreamConnections:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves.

    Args:
        timeouts: of the configuration.
        renew: asked once when an upstream answers 401.
    """

    def __init__(self, timeouts: Timeouts, renew: Renew) -> None:
        self._timeouts = timeouts
        self._renew = renew
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        self._client = Client(self._timeouts.connect_s, self._timeouts.keepalive_s)
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
        client, on_sent = self._client, exchange.sent
        if client is None:
            raise RuntimeError("the connections are not open")
        template = upstream.request(path_qs, exchange.key.name if exchange.key is not None else "")
        try:
            with exchange.waiting(Phase.RESPONSE_HEAD):
                presented, is_renewed = upstream.headers, False
                trace = own_span(exchange, inbound.headers) if upstream.is_traced else b""
                while True:
                    fields = presented.render(inbound.raw_headers, inbound.headers) + trace
                    try:
                        response = await client.post(template, fields, body, on_sent)
                    except StaleConnectionError:
                        # It had died before it could be asked.
                        response = await client.post(template, fields, body, on_sent, pooled=False)
                    if is_renewed or response.status != _UNAUTHORIZED:
                        return response
                    exchange.progress = Progress.REFUSED
                    newer = await self._newer(upstream, presented, response)
                    if newer is None:
                        return response
                    presented, is_renewed = newer, True
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            failure = to_proxy_error(error, exchange, upstream.where)
            if failure.cause in _NEVER_SENT:
                exchange.progress = Progress.UNSENT
            raise failure from error

    async def _newer(
        self,
        upstream: UpstreamTemplate,
        presented: headers.RequestHeaders,
        refused: UpstreamResponse,
    ) -> headers.RequestHeaders | None:
        """Return what to send in place of a credential that was refused, and let go of the refusal; None: nothing."""
        try:
            newer = await self._renew(upstream, presented)
        except BaseException:
            refused.close()
            raise
        if newer is not None:
            refused.close()
        return newer
