"""One stream through a command that runs: it has begun, and goes on when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.cli.listening import LISTENING
from tests.support.client import Client, connected, request
from tests.support.commands import Command
from tests.support.gateways import STREAM_BODY
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, chunk

_BEGUN = b"}}}\n\n\r\n"
_REST = b"".join(map(chunk, EVENTS[1:])) + chunk(b"")


class Held:
    """The script of an upstream that stops behind its first event."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        await self.go_on.wait()
        await upstream.send(_REST)


@contextlib.asynccontextmanager
async def one_stream(command: Command) -> AsyncIterator[Client]:
    """Ask a command that starts for a stream, and yield the client that has its first event."""
    port = int(await command.says(LISTENING))
    async with connected("127.0.0.1", port) as client:
        await client.send(request(body=STREAM_BODY))
        await client.until(_BEGUN)
        yield client
