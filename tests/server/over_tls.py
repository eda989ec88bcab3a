"""A gateway with a certificate, and clients that trust it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from proxy import Certificate, Config, Listen
from tests.support.certificates import CA
from tests.support.client import Client
from tests.support.gateways import Running, config_for, running
from tests.support.pools import good
from tests.support.raw import (
    RawUpstream,
    Script,
    raw_upstream,
)

GOOD, EXPIRED, STRANGER = (CA.parent / f"{name}.pem" for name in ("good", "expired", "stranger"))


def over_tls(url: str, certificate: Path = GOOD, **changes: Any) -> Config:
    """Configure a gateway with a certificate that is in one file with its key."""
    listen = Listen(port=0, tls=Certificate(str(certificate)))
    return config_for(url, **{"listen": listen, **changes})


def trusting() -> ssl.SSLContext:
    """Make the TLS of a client that has a choice of protocols, as most have."""
    context = ssl.create_default_context(cafile=str(CA))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@contextlib.asynccontextmanager
async def connected(
    gateway: Running, context: ssl.SSLContext | None = None, name: str = "localhost"
) -> AsyncIterator[Client]:
    """Connect over TLS for the length of the context."""
    reader, writer = await asyncio.open_connection(
        gateway.host, gateway.port, ssl=context or trusting(), server_hostname=name
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(
    script: Script = good, **changes: Any
) -> AsyncIterator[tuple[Running, RawUpstream]]:
    """Serve a gateway over TLS before an upstream."""
    async with (
        raw_upstream(script) as upstream,
        running(over_tls(upstream.url, **changes)) as gateway,
    ):
        yield gateway, upstream
