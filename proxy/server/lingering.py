"""Close a connection on which the client may still be sending, so that it can read what it was told.

With unread data a close is a reset, and what was sent before may be lost.
"""

import asyncio

LINGER_S = 2.0


def close_behind(transport: asyncio.Transport) -> None:
    """Close the sending side now, and the rest when the client closes, or after `LINGER_S`."""
    try:
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()  # of TLS: it says so, and drops what comes until the client says so, too
    except OSError:  # the client has closed
        transport.abort()
    else:
        asyncio.get_running_loop().call_later(LINGER_S, transport.abort)
