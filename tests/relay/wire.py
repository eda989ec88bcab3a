"""The names of tests/support/client.py as they were: for tests not yet moved to it."""

import contextlib

from tests.support import client
from tests.support.client import Answer, Client, ask, parse, received, unchunk
from tests.support.gateways import STREAM_BODY, Running

__all__ = ["Answer", "ask", "connected", "parse", "received", "request", "unchunk"]


def request(
    body: bytes = STREAM_BODY,
    path: str = "/v1/messages",
    headers: dict[str, str] | None = None,
    version: str = "1.1",
) -> bytes:
    """Frame a good request, for a stream."""
    return client.request(body=body, path=path.encode(), headers=headers, version=version.encode())


def connected(
    gateway: Running, receive_bytes: int | None = None
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect to a gateway."""
    return client.connected(gateway.host, gateway.port, receive_bytes)
