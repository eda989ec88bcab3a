"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing that may have been served, and billed, is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies at once, without a byte of an answer, and the request goes out once more
on a connection of its own.
"""

import asyncio
import errno
import functools
import logging
import re
import ssl
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from proxy.aiohttp_fast.client import (
    Answer,
    Pieces,
    StaleConnectionError,
    Target,
    connector,
    post,
)
from proxy.config import Config, Timeouts, Upstream
from proxy.errors import REQUEST_ID, ProxyError, UpstreamFailed, UpstreamTimeout
from proxy.exchange import Exchange, Wait
from proxy.protocol import headers

_log = logging.getLogger(__name__)

_CACHED_TARGETS = 1024
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# What reading an answer can raise.
READ_ERRORS = (aiohttp.ClientError, OSError)


class UpstreamPool:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves."""

    def __init__(self, config: Config) -> None:
        self._timeouts = config.timeouts
        self._base_urls = {upstream.name: upstream.base_url for upstream in config.upstreams}
        self._outbound = {
            upstream.name: headers.Outbound(_own_headers(upstream)) for upstream in config.upstreams
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


def failure(error: Exception, upstream: str) -> ProxyError:
    """Word every way an exchange with an upstream can fail. The client learns what happened, not where."""
    if isinstance(error, ProxyError):
        return error
    match error:
        case aiohttp.ConnectionTimeoutError():
            cause, said = "upstream_unreachable", "the upstream could not be reached in time"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return UpstreamTimeout("the upstream did not answer in time")
        case aiohttp.ClientConnectorError() | ssl.SSLError():
            cause, said = "upstream_unreachable", "the upstream could not be reached"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            cause, said = "upstream_cut", "the upstream closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            cause, said = "upstream_cut", "the upstream broke off its answer"
        case HttpProcessingError():
            cause, said = "upstream_garbage", "the upstream's answer is not HTTP"
        case ValueError():
            cause, said = "unsendable_header", "a header of the request cannot be sent on"
        case _:
            cause, said = "upstream_failed", "the exchange with the upstream failed"
    _log.warning("upstream %s: %s: %s", upstream, cause, _reason(error))
    return UpstreamFailed(said, cause)


def _reason(error: Exception) -> str:
    """Name an error without its text, in which aiohttp quotes URLs and bytes of the upstream."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    causes = (type(each).__name__ for each in (error, error.__cause__) if each is not None)
    return " from ".join(causes)


def response_headers(exchange: Exchange, answer: Answer) -> CIMultiDict[str]:
    """Build the headers of the client's response."""
    crossing = headers.inbound(answer.headers)
    crossing.setdefault(REQUEST_ID, exchange.request_id)
    return crossing


def refuse_unsendable(reason: str | None, crossing: CIMultiDict[str]) -> None:
    """Refuse a head that aiohttp reads, and does not write.

    Raises:
        UpstreamFailed: now, while there can be another answer.
    """
    if _CONTROL.search("".join((reason or "", *crossing.keys(), *crossing.values()))):
        raise unsendable()


def unsendable() -> UpstreamFailed:
    """Word that the head of an answer cannot be sent on."""
    return UpstreamFailed("the upstream's headers are not HTTP", "upstream_garbage")


def _own_headers(upstream: Upstream) -> list[tuple[str, str]]:
    own = list(upstream.headers)
    match upstream.auth.scheme:
        case "x-api-key":
            own.append((headers.X_API_KEY, upstream.auth.key or ""))
        case "bearer":
            own.append((headers.AUTHORIZATION, f"Bearer {upstream.auth.key}"))
    return own


def _session(timeouts: Timeouts, *, force_close: bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector(force_close=force_close),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
    )


@functools.lru_cache(_CACHED_TARGETS)
def _target(base_url: str, path_qs: str) -> Target:
    return Target(URL(base_url + path_qs, encoded=True))
