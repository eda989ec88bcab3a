"""A gateway before an upstream that follows a script, and the scripts that need no more than a line."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.support.gateways import Running, config_for, running
from tests.support.raw import RawUpstream, Script, UpstreamSide, raw_upstream


@contextlib.asynccontextmanager
async def gateway_before(
    script: Script, **changes: Any
) -> AsyncIterator[tuple[RawUpstream, Running]]:
    """Serve a gateway before an upstream that does what `script` says. `changes` are of its configuration."""
    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, **changes)) as gateway,
    ):
        yield upstream, gateway


def says(*parts: bytes) -> Script:
    """Send bytes, and keep the connection for the next request."""

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(b"".join(parts))

    return script


def then_closes(*parts: bytes) -> Script:
    """Send bytes and close."""

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(b"".join(parts))
        upstream.writer.close()

    return script


def then_waits(*parts: bytes) -> Script:
    """Send bytes, and nothing more until the gateway ends the connection."""

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(b"".join(parts))
        await upstream.until_closed()

    return script
