"""What the twins have in common: what a request to an upstream is, what comes back, and what may go wrong."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

# A body, to be sent as one.
Pieces = Sequence[bytes | memoryview]

# Of a response's head. aiohttp's own, 8190 bytes and 128 headers, turn served and billed answers into errors.
MAX_LINE_BYTES = 1 << 16
MAX_HEADERS = 1000
# Of all heads of a response together, and of its trailers.
MAX_HEAD_BYTES = 5 << 16
# A handful is sent in practice (103 Early Hints, 102 Processing); without a bound they could come for ever.
MAX_INTERIM_HEADS = 16
READ_BUFFER_BYTES = 1 << 16

# A tab may stand in a value, and a line's end has been told from one.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
# Nothing is changed in nearly every head: that is found out in half the time that taking them out takes.
_REPLACED = bytes.maketrans(_CONTROLS, b"?" * len(_CONTROLS))


class TooManyInterimHeadsError(HttpProcessingError):
    """The upstream sends 1xx heads, and no final one."""


class HeadTooLargeError(HttpProcessingError):
    """The upstream sends a head without end, or one that is larger than any."""


class StaleConnectionError(Exception):
    """A pooled connection died without a byte of an answer."""


def refuse_controls(head: bytes) -> None:
    """Refuse a head that another reader may read otherwise.

    Raises:
        ValueError: a control character.
    """
    if head.translate(_REPLACED) != head:
        raise ValueError("a control character in a header")


class Response(abc.ABC):
    """The head of an upstream's response, and its body as it comes.

    Attributes:
        status, reason, headers: of the head.
        is_success: whether the status is one of the 200s.
        content: the body, not decoded.
    """

    __slots__ = ("content", "headers", "is_success", "reason", "status")

    status: int
    is_success: bool
    reason: str | None
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader

    @abc.abstractmethod
    def close(self) -> None:
        """Break the response off, unless all of it has come."""


class Sender(abc.ABC):
    """Sends requests. Make it in the loop that serves.

    Args:
        connect_s: to connect, the name's look-up, the proxy and the TLS handshake included.
        keepalive_s: for a connection to wait for its next request.
    """

    @abc.abstractmethod
    def connect_within(self, connect_s: float) -> None:
        """Give later requests so long to connect."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    @abc.abstractmethod
    async def post(
        self,
        template: Any,
        fields: bytes,
        body: Pieces,
        on_sent: Callable[[], None],
        *,
        pooled: bool = True,
    ) -> Response:
        """Send a request and wait for the head of the response.

        Args:
            template: where to; the twin's `RequestTemplate`.
            fields: header lines, each with its end.
            body: sent with its length.
            on_sent: called when the request goes out, on a connection that is there, where that can be told; else
                before.
            pooled: whether a connection may be used that was used before.

        Raises:
            StaleConnectionError: the pooled connection had closed before it could be asked.
            aiohttp.ClientError, HttpProcessingError, OSError: there is no response.
            ValueError: a control character in a header.
        """
