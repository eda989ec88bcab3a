"""A client of a TLS listener, from its first moment until TLS is agreed upon.

Event loops tell a protocol of TLS of its client only after the handshake: whoever connects and never finishes one would
be bounded by nothing. So each is admitted before it, as one without TLS is, and spoken to by TLS only then.
"""

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any, cast

from proxy.server.listener import Listener
from proxy.server.tls import ServerTls


class Handshakes:
    """Makes a `Handshake` for each client that connects. It is the protocol factory for `loop.create_server`.

    Args:
        listener: says who may connect, and serves them.
        tls: what they are shown.

    Attributes:
        unfinished: those that are neither served nor gone.
    """

    def __init__(self, listener: Listener, tls: ServerTls) -> None:
        self.listener = listener
        self.tls = tls
        self.unfinished = set[Handshake]()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return Handshake(self)

    def close(self) -> None:
        """End those that are unfinished."""
        for handshake in tuple(self.unfinished):
            handshake.give_way()


class Handshake(asyncio.Protocol):
    """One client that is to agree upon TLS. It counts as a connection that is idle.

    Attributes:
        is_stranger: it comes from no trusted proxy.
    """

    __slots__ = ("_all", "_early", "_raw", "_refusal", "is_stranger")

    def __init__(self, handshakes: Handshakes) -> None:
        self.is_stranger = True
        self._all = handshakes
        self._early = bytearray()
        self._raw: asyncio.Transport | None = None
        self._refusal: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be counted and begin; one who is refused is told so by TLS, too, unless they are too many."""
        listener, peer = self._all.listener, transport.get_extra_info("peername")
        # Not by isinstance: uvloop's transports are not asyncio.Transports.
        self._raw = raw = cast(asyncio.Transport, transport)
        self._all.unfinished.add(self)
        self._refusal = refusal = listener.admit(self, peer[0] if peer else None)
        if refusal is not None:
            refusal.connection_made(raw)
            if raw.is_closing():
                return
        # At once, not in a task: uvloop reads before that would begin, and TLS would miss what has been read.
        self._go_on(self._all.tls.agree(raw, self, listener.request_head_s))

    def data_received(self, data: bytes) -> None:
        """Keep what has come with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, of whose end the event loop may tell twice, or by the coroutine alone."""
        self._all.unfinished.discard(self)
        self._all.listener.registry.remove(self)
        if self._refusal is not None:
            self._refusal.connection_lost(exc)

    def look(self, now: float) -> None:
        """Let it take its time: the event loop ends a handshake that takes too long."""

    def give_way(self) -> None:
        """Close the connection for a new one."""
        if self._raw is not None:
            self._raw.abort()

    def _go_on(self, steps: Coroutine[Any, Any, Any], _done: object = None) -> None:
        """Take the next step of the event loop's coroutine, as a task does."""
        try:
            future = steps.send(None)
        except StopIteration as end:
            self._agreed(end.value)
        except OSError:  # of TLS, of TCP, or of time
            self._fail()
        else:
            future.add_done_callback(functools.partial(self._go_on, steps))

    def _agreed(self, transport: asyncio.Transport | None) -> None:
        if (
            transport is None or transport.is_closing()
        ):  # one who leaves is no error to some event loops
            self._fail()
            return
        self._all.unfinished.discard(self)
        protocol = self._refusal or self._all.listener.take_over(self)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(bytes(self._early))

    def _fail(self) -> None:
        self.give_way()
        self.connection_lost(None)
