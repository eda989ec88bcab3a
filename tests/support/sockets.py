"""The kernel's side of a connection."""

import asyncio
import socket

_BUFFER_BYTES = 1 << 15


def narrow(transport: asyncio.BaseTransport | None) -> None:
    """Leave the kernel little room on either side of a connection."""
    assert transport is not None
    sock = transport.get_extra_info("socket")
    for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, direction, _BUFFER_BYTES)
