"""How a request travels on an upstream connection: aiohttp's client, with three of its classes replaced.

The replaced parts rest on aiohttp's internals; tests/unit/test_aiohttp_facts.py names them and fails when aiohttp
changes them. `UpstreamRequest` is a fast path: aiohttp's own builds a request in twenty steps, for cookies, proxies and
forms, and sends its body from a task. Measured on CPython 3.11: 85 of 650 calls a request less.
"""

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any, Self

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict
from yarl import URL

# The other end of a dead connection resets it within a round trip.
_STALE_WITHIN_S = 1.0


class StaleConnectionError(Exception):
    """A pooled connection died without a byte of an answer."""


class UpstreamConnection(ResponseHandler):
    """A connection that knows whether it was used before, whether the upstream has spoken since, and was asked to.

    `on_data` is called after bytes of the answer were taken in, and when the connection is lost inside it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._requests = 0
        self._asked_at = 0.0
        self._heard = False
        self.asked = False
        self.on_data: Callable[[], None] | None = None

    def set_response_params(self, **options: Any) -> None:
        """Begin to wait for an answer; aiohttp calls this once a request, before it sends."""
        self._requests += 1
        self._asked_at = time.monotonic()
        self._heard = False
        self.asked = True
        super().set_response_params(**options)

    def was_stale(self) -> bool:
        """Tell, of a connection that failed, whether it was dead before the request was sent.

        It had idled in the pool, it failed without a byte, and at once: a request that was held for a while may have
        been served.
        """
        at_once = time.monotonic() - self._asked_at < _STALE_WITHIN_S
        return self._requests > 1 and not self._heard and at_once

    def answered(self) -> None:
        """Note the end of the answer."""
        self.asked = False
        self.on_data = None

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer that was asked for."""
        self._heard = True
        # Taken before the end of the answer, which these bytes may bring, clears it.
        on_data = self.on_data
        if self.asked:
            super().data_received(data)
            # Without bytes, this is `resume_reading` inside a read: who reads will see what it brought.
            if on_data is not None and data:
                on_data()
        elif data:
            # Nobody asked: on a pooled connection it would be taken for the answer of the next request.
            self.abort()
        if not self.asked and self._buffer:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Break the answer off, when there is one."""
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            # A reset is no end, even for a body that only the end of the connection frames.
            self._payload.set_exception(aiohttp.ClientPayloadError(f"reset: {exc}"), exc)
        on_data = self.on_data
        super().connection_lost(exc)
        if on_data is not None:
            on_data()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Resume, when paused: aiohttp calls this after every chunk that is read, and would parse no bytes anew."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    @property
    def should_close(self) -> bool:
        """Whether it must not be used again: also when the upstream answered before it had the whole request."""
        transport = self.transport
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        return unsent or super().should_close

    def close(self) -> None:
        """Close at once: what is still to be sent to the upstream is for nobody any more."""
        self.abort()


class UpstreamRequest(aiohttp.ClientRequest):
    """A POST of bytes. Head and body go to the transport in one write, and nobody waits for them to leave."""

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        headers: CIMultiDict[str],
        data: bytes,
        loop: asyncio.AbstractEventLoop,
        response_class: type[aiohttp.ClientResponse],
        timer: Any,
        session: aiohttp.ClientSession,
        **unused: Any,
    ) -> None:
        """Take what `ClientSession` gives; `headers` is its own copy, complete but for what is set here."""
        self.method = method
        self.url = self.original_url = url
        self.loop = loop
        self.response_class = response_class
        self.version = aiohttp.HttpVersion11
        self.proxy = self.proxy_auth = self.proxy_headers = self.server_hostname = None
        self.headers = headers
        headers[hdrs.HOST] = url.host_port_subcomponent or ""
        headers[hdrs.CONTENT_LENGTH] = str(len(data))
        self._content = data
        self._timer = timer
        self._session = session
        self._ssl = unused["ssl"]
        self._traces: list[Any] = []

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send the request.

        Raises:
            StaleConnectionError: the pooled connection had already closed.
        """
        protocol = conn.protocol
        if not isinstance(protocol, UpstreamConnection):
            raise TypeError("the connector makes another protocol than it was told to")
        if conn._connector.force_close:  # noqa: SLF001 - as `ClientRequest.send` does
            self.headers[hdrs.CONNECTION] = "close"
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        try:
            # Not drained: an upstream may answer before it has read everything.
            await writer.write(self._content, drain=False)
        except ConnectionResetError as error:
            if protocol.was_stale():
                raise StaleConnectionError from error
            raise
        return self.response_class(
            self.method,
            self.url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )


class UpstreamResponse(aiohttp.ClientResponse):
    """A response that tells a stale pooled connection from an upstream that fails."""

    async def start(self, connection: Connection) -> Self:
        """Wait for the head of the answer.

        Raises:
            StaleConnectionError: the pooled connection died without a byte.
        """
        protocol = connection.protocol
        if not isinstance(protocol, UpstreamConnection):
            raise TypeError("the connector makes another protocol than it was told to")
        try:
            await super().start(connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if protocol.was_stale():
                raise StaleConnectionError from error
            raise
        self.content.on_eof(protocol.answered)
        return self


def connector(*, force_close: bool) -> aiohttp.TCPConnector:
    """Make a connector whose connections are `UpstreamConnection`s, as many as are needed."""
    made = aiohttp.TCPConnector(limit=0, force_close=force_close)
    factory: functools.partial[Any] = functools.partial(
        UpstreamConnection, asyncio.get_running_loop()
    )
    made._factory = factory  # noqa: SLF001 - the connector has no public hook for this
    return made
