"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing that may have been served, and billed, is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies at once, without a byte of an answer, and the request goes out once more
on a connection of its own.
"""

import asyncio
import functools
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from proxy.aiohttp_fast.client import (
    Answer,
    Pieces,
    StaleConnectionError,
    Target,
    connector,
    post,
)
from proxy.config import Config, Timeouts
from proxy.exchange import Exchange, Wait
from proxy.protocol import headers
from proxy.upstreams.credentials import own_headers
from proxy.upstreams.failures import failure

_CACHED_TARGETS = 1024


class UpstreamPool:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves."""

    def __init__(self, config: Config) -> None:
        self._timeouts = config.timeouts
        self._base_urls = {upstream.name: upstream.base_url for upstream in config.upstreams}
        self._outbound = {
            upstream.name: headers.Outbound(own_headers(upstream)) for upstream in config.upstreams
        }
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
        upstream: str,
        path_qs: str,
        inbound: web.BaseRequest,
        body: Pieces,
    ) -> Answer:
        """Send a request and wait for the head of its answer.

        Args:
            exchange: whose interruption ends the wait.
            upstream: its name.
            path_qs: path and query below its base URL, sent as they are.
            inbound: the client's request, whose headers go on.
            body: sent with its length.

        Returns:
            The answer, to be read to its end or closed. Its body is not decoded.

        Raises:
            UpstreamFailed, UpstreamTimeout: there is no answer.
        """
        if self._pooled is None or self._fresh is None:
            raise RuntimeError("the pool is not open")
        target = _target(self._base_urls[upstream], path_qs)
        exchange.waits_for(Wait.RESPONSE_HEAD)
        try:
            connection = inbound.headers.getall(headers.CONNECTION, ())
            fields = self._outbound[upstream].fields(inbound.raw_headers, connection)
            try:
                return await post(self._pooled, target, fields, body)
            except StaleConnectionError:
                return await post(self._fresh, target, fields, body)
        except asyncio.CancelledError:
            raise exchange.interruption() from None
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise failure(error, upstream) from error
        finally:
            exchange.wait = Wait.NOTHING


def _session(timeouts: Timeouts, *, force_close: bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector(force_close=force_close),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
    )


@functools.lru_cache(_CACHED_TARGETS)
def _target(base_url: str, path_qs: str) -> Target:
    return Target(URL(base_url + path_qs, encoded=True))
