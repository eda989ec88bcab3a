"""A connection to an upstream: it knows whether it was used before, was asked, and has spoken since.

This rests on aiohttp's internals: tests/unit/test_aiohttp_facts.py names them and fails when aiohttp changes them.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from proxy.aiohttp_fast.twins import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INTERIM_HEADS,
    MAX_LINE_BYTES,
    READ_BUFFER_BYTES,
    HeadTooLargeError,
    Pieces,
    TooManyInterimHeadsError,
)

# A dead connection is reset within one round trip; a later failure may have been served.
_STALE_WITHIN_S = 1.0
_OK = int(HTTPStatus.OK)
# What is shorter is copied together faster than it is sent in pieces.
_COPIED_BYTES = 1 << 14
# What is longer is given to the transport in parts of so many bytes, each when there is room.
_SENT_AT_ONCE_BYTES = 1 << 21
_ENCRYPTED_AT_ONCE_BYTES = 1 << 19
_SENT_PART_BYTES = 1 << 18
# Of one read, which brings up to 256 kB, so much is taken before it is looked whether heads are too many, or too long.
_PART_BYTES = 1 << 14


class UpstreamConnection(ResponseHandler):
    """A connection that knows whether it was used before, whether the upstream has spoken since, and was asked to.

    `on_data` is called after bytes of the answer were taken in, and when the connection is lost inside it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._requests = 0
        self._asked_at = 0.0
        self._heard = False
        self._keeps_parser = False
        # What has come of heads, trailers and framing, behind so many bytes of a body.
        self._other_bytes = self._other_behind_bytes = 0
        self._unsent: Iterator[memoryview] | None = None
        self.asked = False
        self.on_data: Callable[[], None] | None = None

    def ask(self, head: bytes, body: Pieces, body_bytes: int) -> None:
        """Send a request, whose body has so many bytes; `read` then gives the head of its answer.

        Raises:
            aiohttp.ClientConnectionResetError: the connection had already closed.
        """
        self._requests += 1
        self._asked_at = time.monotonic()
        self._heard = False
        self._other_bytes = self._other_behind_bytes = 0
        if self._keeps_parser and self._parser is not None:
            self.asked = True
        else:
            self.set_response_params(
                read_until_eof=True, auto_decompress=False, read_bufsize=READ_BUFFER_BYTES
            )
        transport = self.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError
        # Nobody waits for it to leave: an upstream may answer before it has read everything.
        if body_bytes <= _COPIED_BYTES:
            transport.write(b"".join((head, *body)))
        elif body_bytes <= _ENCRYPTED_AT_ONCE_BYTES or (
            body_bytes <= _SENT_AT_ONCE_BYTES and transport.get_extra_info("sslcontext") is None
        ):
            transport.writelines((head, *body))
        else:
            # A transport keeps all that it is given, one of TLS all of it encrypted, twice: with the buffer that
            # OpenSSL grows for it, and keeps with the connection.
            transport.write(head)
            self._unsent = _parts(body)
            self._send_on()

    def _send_on(self) -> None:
        """Give the transport more of a large body, while it has room."""
        transport = self.transport
        for part in self._unsent or ():
            if transport is None or transport.is_closing():
                break
            transport.write(part)
            if self._paused:
                return
        self._unsent = None

    def resume_writing(self) -> None:
        """Send on what there was no room for."""
        super().resume_writing()
        if self._unsent is not None:
            self._send_on()

    def set_response_params(self, **params: Any) -> None:
        """Await a response, with room for its head: `ask` calls this, and aiohttp when it asks a proxy for a tunnel."""
        self.asked = True
        ResponseHandler.set_response_params(
            self,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            **params,
        )

    def was_stale(self) -> bool:
        """Return whether a connection that failed was dead before the request was sent.

        It had idled in the pool, it failed without a byte, and at once: a request that was held for a while may have
        been served.
        """
        at_once = time.monotonic() - self._asked_at < _STALE_WITHIN_S
        return self._requests > 1 and not self._heard and at_once

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the end of the answer. The parser of a plain success reads the next one, too: a new one takes 4 µs.

        Of others, a length that was announced and not sent may be left in it (304), or the last of the trailers, which
        would be a header of the next one.
        """
        self.asked = False
        self.on_data = self._payload = None
        self._keeps_parser = status == _OK and hdrs.TRANSFER_ENCODING not in headers

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer that was asked for."""
        if self.asked:
            payload = self._payload
            if payload is None or not (before := payload.total_bytes):
                self._take_first(data)
                return
            # Taken before the end of the answer, which these bytes may bring, clears it.
            on_data = self.on_data
            ResponseHandler.data_received(self, data)
            if payload.total_bytes == before:
                self._bound(len(data), before)
            # Without bytes, this is `resume_reading` inside a read: who reads will see what it brought.
            if on_data is not None and data:
                on_data()
        elif data:
            # Nobody asked: on a pooled connection it would be taken for the answer of the next request.
            self.abort()
        if not self.asked:
            self.close_if_more_came()

    def _take_first(self, data: bytes) -> None:
        """Take what comes before the second read of a body: in parts, since heads are bounded only once parsed."""
        self._heard = True
        on_data, part, rest = self.on_data, data[:_PART_BYTES], data[_PART_BYTES:]
        ResponseHandler.data_received(self, part)
        if self._payload is None or not self._payload.total_bytes:
            self._bound(len(part), 0)
        if on_data is not None and part:
            on_data()
        if not self.asked:
            self.close_if_more_came()
        if rest and self.exception() is None:
            self.data_received(rest)

    def _bound(self, taken_bytes: int, body_bytes: int) -> None:
        """Refuse what brings no byte of a body for too long; so many have come."""
        if self._other_behind_bytes != body_bytes:
            self._other_behind_bytes, self._other_bytes = body_bytes, 0
        self._other_bytes += taken_bytes
        if self._other_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLargeError())
        elif len(self._buffer) > MAX_INTERIM_HEADS + 1:
            # Who waits for a final one finds that out, too, but not before all that has come is parsed.
            self._refuse(TooManyInterimHeadsError())

    def _refuse(self, error: HttpProcessingError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            # Not by `self.abort`, which forgets the error, and who reads a body.
            self.transport.abort()

    def close_if_more_came(self) -> None:
        """Close, after the end of a response, when any byte of another came with it, which nobody asked for."""
        if self._buffer or self._has_begun_another():
            self.abort()

    def _has_begun_another(self) -> bool:
        """Return whether the parser holds a part of a head; it tells at its end alone. Costs 0.1 µs."""
        if self._parser is None:
            return False
        try:
            return self._parser.feed_eof() is not None
        except (
            HttpProcessingError
        ):  # what has come of the head is already malformed, or has begun a body
            return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Break the answer off, when there is one."""
        self._unsent = None
        # What breaks TLS was said by the upstream: it had not left.
        self._heard = self._heard or isinstance(exc, ssl.SSLError)
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
        waits = transport is not None and transport.get_write_buffer_size() > 0
        return waits or self._unsent is not None or super().should_close

    def close(self) -> None:
        """Close at once: what is still to be sent to the upstream is for nobody any more."""
        self.abort()


def _parts(body: Pieces) -> Iterator[memoryview]:
    """Cut a body into parts, without copying it."""
    for piece in body:
        view = memoryview(piece)
        for start in range(0, len(view), _SENT_PART_BYTES):
            yield view[start : start + _SENT_PART_BYTES]
