"""Whatever bodies clients send, a process takes less than 150 MB beside the budget that all bodies have together."""

import asyncio
import contextlib
import gzip
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.client import connected, request
from tests.support.commands import started, write_config
from tests.support.gateways import BODY

pytestmark = pytest.mark.no_cover  # what it runs, others run too

BUDGET = 1 << 26
MOST_BYTES = 150_000_000 + BUDGET
LIMITS = f"limits: {{body_memory_bytes: {BUDGET}, max_connections: 200}}\n"
LISTENING = b"listening on http://127.0.0.1:"
PIECE = 1 << 16
LARGE = 31_000_000

LONG_NAME = b'{"%b":1}' % (b"x" * LARGE)
MANY_NAMES = b"{%b}" % b",".join(b'"%d":0' % number for number in range(900_000))
SOME_NAMES = b"{%b}" % b",".join(b'"%d":0' % number for number in range(24_000))
LONG_TEXT = BODY.replace(b"say hi", b"x" * LARGE)
HOSTILE = {
    "a name of 31 MB": (LONG_NAME, b"", 4),
    "a name of 31 MB in 31 kB": (gzip.compress(LONG_NAME), b"content-encoding: gzip", 8),
    "900,000 names": (MANY_NAMES, b"", 4),
    "60 times 24,000 names": (SOME_NAMES, b"", 60),
    "100 times 31 MB": (LONG_TEXT, b"", 100),
}


@contextlib.asynccontextmanager
async def upstream_that_reads_nothing() -> AsyncIterator[str]:
    """Run an upstream that takes connections, and nothing of what comes on them."""
    connections: list[asyncio.Transport] = []

    class Deaf(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
            connections.append(transport)  # type: ignore[arg-type] # as above

    server = await asyncio.get_running_loop().create_server(Deaf, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in connections:
            connection.abort()


async def post(port: int, body: bytes, header: bytes, *, within_s: float) -> None:
    """Send a request, and leave when there is a response, or none comes in time."""
    length = b"content-length: %d" % len(body)
    head = request(*filter(None, (header, length)), body=b"", length=False)

    async with connected("127.0.0.1", port) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(within_s):
                await client.send(head)
                for start in range(0, len(body), PIECE):
                    await client.send(body[start : start + PIECE])
                await client.answer()


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.slow
async def test_hostile_bodies_take_no_more_than_the_budget(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with upstream_that_reads_nothing() as url:
        config = write_config(tmp_path, url, LIMITS)
        async with started("serve", "--config", config, "--host", "127.0.0.1") as command:
            port = int(await command.says(LISTENING))
            for what, (body, header, times) in HOSTILE.items():
                await asyncio.gather(*(post(port, body, header, within_s=20) for _ in range(times)))
                peak = peak_bytes(command.process.pid)
                record_property(what, peak)
                assert peak < MOST_BYTES, what
