"""The way to the upstreams: one pool of connections, one attempt a request, one place that words its failures.

Nothing a client could have been billed for is sent twice. The one exception is a pooled connection that the
upstream closed while it was idle: it dies without a byte of an answer, and the request goes out once more on
a connection of its own.
"""

import asyncio
import errno
import functools
import io
import logging
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL

from proxy import headers
from proxy.config import Config, Timeouts, Upstream
from proxy.errors import ProxyError, UpstreamFailed, UpstreamTimeout
from proxy.exchange import Exchange, Wait

_log = logging.getLogger(__name__)

_READ_BUFFER_BYTES = 1 << 16
_CACHED_URLS = 1024
_ONE_PIECE_BYTES = 1 << 20


class _UpstreamConnection(ResponseHandler):
    """A connection that knows whether it was used before, whether the upstream has spoken since, and was asked to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.requests = 0
        self.heard = False
        self.asked = False

    def set_response_params(self, **options: Any) -> None:
        """Begin to wait for an answer; aiohttp calls this once a request, before it sends."""
        self.requests += 1
        self.heard = False
        self.asked = True
        super().set_response_params(**options)

    def answered(self) -> None:
        self.asked = False

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self.asked:
            super().data_received(data)
        elif data:
            # Nobody asked: on a pooled connection it would be taken for the answer of the next request.
            self.abort()
        if not self.asked and self._buffer:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            # A reset is no end, even for a body that only the end of the connection frames.
            self._payload.set_exception(aiohttp.ClientPayloadError(f"reset: {exc}"), exc)
        super().connection_lost(exc)

    def close(self) -> None:
        """Close at once: what is still to be sent to the upstream is for nobody any more."""
        self.abort()


class _StaleConnectionError(Exception):
    """A pooled connection died without a byte of an answer."""


class _UpstreamResponse(aiohttp.ClientResponse):
    """A response that tells a stale pooled connection from an upstream that fails."""

    async def start(self, connection: aiohttp.connector.Connection) -> Self:
        protocol = connection.protocol
        if not isinstance(protocol, _UpstreamConnection):
            raise TypeError("the connector makes another protocol than it was told to")
        try:
            await super().start(connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if protocol.requests > 1 and not protocol.heard:
                raise _StaleConnectionError from error
            raise
        self.content.on_eof(protocol.answered)
        return self


class UpstreamPool:
    """Connections to every upstream. Use it as an asynchronous context manager, in the loop that serves."""

    def __init__(self, config: Config) -> None:
        self._timeouts = config.timeouts
        self._base_urls = {upstream.name: upstream.base_url for upstream in config.upstreams}
        self._headers = {upstream.name: _own_headers(upstream) for upstream in config.upstreams}
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

    def outbound_headers(self, inbound: CIMultiDictProxy[str], upstream: str) -> CIMultiDict[str]:
        """Build the headers for an upstream from a client's."""
        return headers.outbound(inbound, self._headers[upstream])

    async def post(
        self,
        exchange: Exchange,
        upstream: str,
        path_qs: str,
        outbound: Mapping[str, str],
        body: bytes,
    ) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of its answer.

        Args:
            exchange: whose interruption ends the wait.
            upstream: its name.
            path_qs: path and query below its base URL, sent as they are.
            outbound: headers.
            body: sent with its length.

        Returns:
            The answer, to be read to its end or closed. Its body is not decoded.

        Raises:
            UpstreamFailed, UpstreamTimeout: there is no answer.
        """
        if self._pooled is None or self._fresh is None:
            raise RuntimeError("the pool is not open")
        url = _url(self._base_urls[upstream], path_qs)
        exchange.waits_for(Wait.RESPONSE_HEAD)
        try:
            try:
                return await _sent(self._pooled, url, outbound, body)
            except _StaleConnectionError:
                return await _sent(self._fresh, url, outbound, body)
        except asyncio.CancelledError:
            raise exchange.interruption() from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
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
        case aiohttp.ClientResponseError():
            cause, said = "upstream_garbage", "the upstream's answer is not HTTP"
        case ValueError():
            cause, said = "unsendable_header", "a header of the request cannot be sent on"
        case _:
            cause, said = "upstream_failed", "the exchange with the upstream failed"
    _log.warning("upstream %s: %s: %s", upstream, cause, _reason(error))
    return UpstreamFailed(said, cause)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {error.strerror or error}"
    return f"{type(error).__name__}: {error}"


def _own_headers(upstream: Upstream) -> tuple[tuple[istr, str], ...]:
    own = [(istr(name), value) for name, value in upstream.headers]
    match upstream.auth.scheme:
        case "x-api-key":
            own.append((headers.X_API_KEY, upstream.auth.key or ""))
        case "bearer":
            own.append((headers.AUTHORIZATION, f"Bearer {upstream.auth.key}"))
    return tuple(own)


def _session(timeouts: Timeouts, *, force_close: bool) -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=0, force_close=force_close)
    # The connector's private hook for making protocols; tests/unit/test_aiohttp_facts.py names it.
    make: functools.partial[Any] = functools.partial(_UpstreamConnection, loop)
    connector._factory = make  # noqa: SLF001
    return aiohttp.ClientSession(
        connector=connector,
        response_class=_UpstreamResponse,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER_BYTES,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
    )


@functools.lru_cache(_CACHED_URLS)
def _url(base_url: str, path_qs: str) -> URL:
    return URL(base_url + path_qs, encoded=True)


async def _sent(
    session: aiohttp.ClientSession, url: URL, outbound: Mapping[str, str], body: bytes
) -> aiohttp.ClientResponse:
    # aiohttp writes bytes in one piece; a long body goes out in steps between which others run.
    data = body if len(body) <= _ONE_PIECE_BYTES else io.BytesIO(body)
    return await session.post(url, data=data, headers=outbound, allow_redirects=False)
