"""One connection too many: it is told so, and closed in a way that lets the client read it."""

import asyncio
from collections.abc import Callable
from typing import cast

from proxy.server.lingering import LINGER_S, close_behind


class Refusal(asyncio.Protocol):
    """Answers what a client says first, and closes.

    Args:
        waiting: has those that wait for their client's first bytes, or its close.
        respond: makes the response, which closes, of the first bytes. They are not read as a request.
        mute: whether the connection is just closed.
    """

    def __init__(
        self, waiting: set[asyncio.BaseProtocol], respond: Callable[[bytes], bytes], *, mute: bool
    ) -> None:
        self._waiting = waiting
        self._respond = respond
        self._mute = mute
        self._transport: asyncio.Transport | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client, but not for long."""
        # Not by isinstance: uvloop's transports are not asyncio.Transports.
        self._transport = cast(asyncio.Transport, transport)
        if self._mute:
            self._transport.abort()
            return
        self._waiting.add(self)
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Respond."""
        # Only once the client has spoken: a close with unread bytes would be a reset, and the answer lost.
        if self._answered or self._transport is None:
            return
        self._answered = True
        self._transport.write(self._respond(data))
        close_behind(self._transport)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - either way it is gone
        """Forget the connection."""
        self._waiting.discard(self)
