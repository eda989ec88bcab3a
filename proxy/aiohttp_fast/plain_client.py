"""The way to an upstream by aiohttp's public API alone: what the fast twin, `client.py`, does, for every aiohttp.

What it cannot do:
- use a connection twice: no public API tells whether a pooled one was dead before it was asked, so that asking again is
  safe, or whether it holds bytes that nobody asked for. So nothing is stale here, and nothing late;
- send or take header bytes that are not UTF-8: aiohttp leaves them out;
- tell when there is a connection, on which the request goes out;
- bound interim (1xx) heads, or heads and trailers as a whole;
- tell a reset from the end of a body that only the end of the connection frames.
"""

import inspect
import io
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp import hdrs
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from proxy.aiohttp_fast.resolver import Resolver
from proxy.aiohttp_fast.twins import (
    MAX_HEADERS,
    MAX_LINE_BYTES,
    READ_BUFFER_BYTES,
    Pieces,
    Response,
    Sender,
    refuse_controls,
)

_SET_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class RequestTemplate:
    """What the requests to one URL have in common.

    Args:
        url: of the upstream.
        client: whose requests they are: no connection serves two clients.
        proxy: on the way; None: there is none.
        proxy_authorization: the value of `Proxy-Authorization`; None: the proxy wants none.
        tls: how the upstream is spoken to; True: as everybody is.
    """

    def __init__(
        self,
        url: URL,
        client: str,
        proxy: URL | None = None,
        proxy_authorization: str | None = None,
        *,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self.url = url
        self.tls = tls
        self.client = client
        self.proxy = proxy
        self.to_proxy: CIMultiDict[str] = CIMultiDict()
        if proxy_authorization is not None:
            self.to_proxy[hdrs.PROXY_AUTHORIZATION] = proxy_authorization

    def with_proxys(self, fields: CIMultiDict[str]) -> CIMultiDict[str]:
        """Return the fields of a request, with the proxy's where it is asked for the whole URL."""
        if self.url.scheme == "http":
            fields.extend(self.to_proxy)
        return fields


class UpstreamResponse(Response):
    """A response of `ClientSession`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.is_success = 200 <= response.status < 300  # noqa: PLR2004 - as the attribute says
        self.reason = response.reason
        self.headers = response.headers
        self.content = response.content
        self._response = response

    def close(self) -> None:
        """Break it off, unless all of it has come."""
        self._response.close()


class Client(Sender):
    """Sends each request on a connection of its own."""

    def __init__(self, connect_s: float, keepalive_s: float) -> None:
        del keepalive_s  # no connection is kept
        options = {"max_line_size": MAX_LINE_BYTES, "max_field_size": MAX_LINE_BYTES}
        if "max_headers" in inspect.signature(aiohttp.ClientSession).parameters:
            options["max_headers"] = MAX_HEADERS
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, resolver=Resolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            skip_auto_headers=_SET_BY_AIOHTTP,
            **options,  # type: ignore[arg-type] # all are numbers
        )
        self.connect_within(connect_s)

    def connect_within(self, connect_s: float) -> None:
        """Give later requests so long to connect; as `Sender.connect_within`."""
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(
        self,
        template: RequestTemplate,
        fields: bytes,
        body: Pieces,
        on_sent: Callable[[], None],
        *,
        pooled: bool = True,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response; as `Sender.post`. `pooled` makes no difference."""
        del pooled
        refuse_controls(fields)
        lines = fields.decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        # No public API tells when there is a connection.
        on_sent()
        try:
            response = await self._session.post(
                template.url,
                headers=template.with_proxys(CIMultiDict(_split_line(line) for line in lines)),
                # Bytes would be sent in one piece, with a warning when they are many.
                data=io.BytesIO(b"".join(body)),
                allow_redirects=False,
                timeout=self._timeout,
                ssl=template.tls,
                proxy=template.proxy,
                proxy_headers=template.to_proxy,
            )
        except aiohttp.ClientResponseError as error:
            if isinstance(error.__cause__, HttpProcessingError):
                raise error.__cause__ from error.__cause__.__cause__
            raise
        return UpstreamResponse(response)


def _split_line(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value
