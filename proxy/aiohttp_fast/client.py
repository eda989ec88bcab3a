"""How a request travels on an upstream connection: over a `ClientSession`'s pool, past its `_request`.

`ClientSession._request` makes each request anew for cookies, redirects, proxies, traces and forms, none of which a
gateway has, and sends its body from a task. Here a request enters at the session's connector, in one write.
Measured, CPython 3.11: 490 instead of 680 µs of CPU a request; 85 of 650 calls less before, 150 of 550 now.

This rests on aiohttp's internals: tests/unit/test_aiohttp_facts.py names them and fails when aiohttp changes them.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_parser import RawResponseMessage
from yarl import URL

# The other end of a dead connection resets it within a round trip.
_STALE_WITHIN_S = 1.0
_READ_BUFFER_BYTES = 1 << 16
# What is shorter is copied together faster than it is sent in pieces.
_COPIED_BYTES = 1 << 14
_CONTINUE = 100
_SWITCHING_PROTOCOLS = 101
# In a head; a tab may stand in a value, and a line's end has been told from one.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
_FIRST_FINAL = 200


# A body, to be sent in one write.
Pieces = Sequence[bytes | memoryview]


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

    def ask(self, head: bytes, body: Pieces) -> None:
        """Send a request; `read` then gives the head of its answer.

        Raises:
            aiohttp.ClientConnectionResetError: the connection had already closed.
        """
        self._requests += 1
        self._asked_at = time.monotonic()
        self._heard = False
        self.asked = True
        self.set_response_params(
            read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BUFFER_BYTES
        )
        transport = self.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError
        # Nobody waits for it to leave: an upstream may answer before it has read everything.
        if sum(map(len, body)) <= _COPIED_BYTES:
            transport.write(b"".join((head, *body)))
        else:
            transport.writelines((head, *body))

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
        on_data, payload = self.on_data, self._payload
        super().connection_lost(exc)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            # aiohttp's parser lets go of a body whose framing it cannot read, and nobody would wake its reader.
            payload.set_exception(aiohttp.ClientPayloadError("broken framing"))
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


class RequestTemplate(aiohttp.ClientRequest):
    """Where requests of one URL go: what a connector asks of a request, made once instead of for each."""

    connection_key: Any = None  # aiohttp's is a property, worked out at each request

    def __init__(self, url: URL) -> None:
        self.url = self.original_url = url
        self.proxy = self.proxy_auth = self.proxy_headers = self.server_hostname = None
        self._ssl = True
        self.connection_key = super().connection_key
        start = f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"
        self.head_start = start.encode("utf-8", "surrogateescape")


class UpstreamResponse:
    """The head of an upstream's answer, and its body as it comes.

    Attributes:
        status, reason, headers: of the head.
        content: the body, not decoded.
    """

    __slots__ = ("_connection", "content", "headers", "reason", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader
    ) -> None:
        self.status = message.code
        self.reason = message.reason
        self.headers = message.headers
        self.content = content
        self._connection: Connection | None = connection
        content.on_eof(self._release)

    @property
    def connection(self) -> UpstreamConnection | None:
        """What the body comes on; None once all of it has come."""
        protocol = self._connection.protocol if self._connection is not None else None
        return protocol if isinstance(protocol, UpstreamConnection) else None

    def _release(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            protocol = connection.protocol
            connection.release()
            if isinstance(protocol, UpstreamConnection):
                protocol.answered()

    def close(self) -> None:
        """Break the answer off, unless all of it has come."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            # The body would keep this answer, and this answer the body.
            self.content.set_exception(aiohttp.ClientConnectionError("closed"))


async def post(
    session: aiohttp.ClientSession, target: RequestTemplate, fields: bytes, body: Pieces
) -> UpstreamResponse:
    """Send a request and wait for the head of the answer.

    Raises:
        StaleConnectionError: the pooled connection had closed before it could be asked.
        aiohttp.ClientError, HttpProcessingError, OSError: there is no answer.
        ValueError: a control character in a header.
    """
    if session.connector is None:
        raise RuntimeError("the session is closed")
    closing = b"Connection: close\r\n" if session.connector.force_close else b""
    length = sum(map(len, body))
    head = b"%b%bContent-Length: %d\r\n%b\r\n" % (target.head_start, fields, length, closing)
    if len(head.translate(None, _CONTROLS)) < len(head):
        raise ValueError("a control character in a header")
    try:
        connection = await session.connector.connect(target, [], session.timeout)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError from error
    protocol = connection.protocol
    if not isinstance(protocol, UpstreamConnection):
        connection.close()
        raise TypeError("the connector makes another protocol than it was told to")
    try:
        protocol.ask(head, body)
        message, content = await protocol.read()
        while _CONTINUE <= message.code < _FIRST_FINAL and message.code != _SWITCHING_PROTOCOLS:
            message, content = await protocol.read()
    except BaseException as error:
        connection.close()
        lost = (
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientOSError,
            aiohttp.ClientConnectionResetError,
        )
        if isinstance(error, lost) and protocol.was_stale():
            raise StaleConnectionError from error
        raise
    return UpstreamResponse(connection, message, content)


def connector(*, force_close: bool) -> aiohttp.TCPConnector:
    """Make a connector whose connections are `UpstreamConnection`s, as many as are needed."""
    made = aiohttp.TCPConnector(limit=0, force_close=force_close)
    factory: functools.partial[Any] = functools.partial(
        UpstreamConnection, asyncio.get_running_loop()
    )
    made._factory = factory  # noqa: SLF001 - the connector has no public hook for this
    return made
