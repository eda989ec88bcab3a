"""A client that has closed its sending side: it may wait for its response, as `nc -N` does, or have left.

TCP tells the two apart only when something is sent: a client that has left answers with a reset. An interim response
may be sent at any time before the final one (RFC 9110 section 15.2), and says nothing.

A relay of TCP in between, as Docker's for the ports of a container, takes the first one, learns by the second that its
client has left, and resets at the third.
"""

import asyncio
import socket
from collections.abc import Callable

_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
# Go's client takes no more.
_MAX_INTERIM = 5
_FIRST_LOOK_S = 0.01
_LATER = 4
_LONGEST_S = 1.0


class LeaveProbe:
    """Ends a connection once it turns out that its client has left."""

    def __init__(self, transport: asyncio.Transport, awaits_response: Callable[[], bool]) -> None:
        """Send the first probe.

        Args:
            transport: of a client that speaks HTTP/1.1.
            awaits_response: returns whether nothing of a response has been sent; it is true now.
        """
        self._transport = transport
        self._awaits_response = awaits_response
        self._after_s = _FIRST_LOOK_S
        self._left = _MAX_INTERIM
        self._probe()

    def _probe(self) -> None:
        if self._left and self._awaits_response():
            self._left -= 1
            self._transport.write(_INTERIM)
        asyncio.get_running_loop().call_later(self._after_s, self._look)
        self._after_s = min(_LATER * self._after_s, _LONGEST_S)

    def _look(self) -> None:
        if self._transport.is_closing():
            return
        # The loop reads no more of the connection, and would learn of the reset at the next write only.
        sock = self._transport.get_extra_info("socket")
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._transport.abort()
        else:
            self._probe()
