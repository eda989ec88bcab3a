"""A client that has closed its sending side: it may wait for its response, as `nc -N` does, or have left.

TCP tells the two apart only when something is sent: a client that has left answers with a reset. An interim response
may be sent at any time before the final one (RFC 9110 section 15.2), and says nothing.
"""

import asyncio
import socket

_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_LOOK_S = 0.01
_LONGEST_S = 1.0


class LeaveProbe:
    """Ends a connection once it turns out that its client has left."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Send the probe. No response has begun, and the client speaks HTTP/1.1."""
        self._transport = transport
        self._after_s = _FIRST_LOOK_S
        transport.write(_INTERIM)
        self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(self._after_s, self._look)
        self._after_s = min(2 * self._after_s, _LONGEST_S)

    def _look(self) -> None:
        if self._transport.is_closing():
            return
        # The loop reads no more of the connection, and would learn of the reset at the next write only.
        sock = self._transport.get_extra_info("socket")
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._transport.abort()
        else:
            self._wait()
