"""Whatever clients and upstreams send, a process takes less than 150 MB, beside the budget that all bodies have."""

import asyncio
import contextlib
import dataclasses
import gzip
import itertools
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.cli.test_cli_admin import _free_port
from tests.cli.test_cli_workers import children
from tests.support.client import Client, connected, request
from tests.support.commands import started, write_config
from tests.support.gateways import BODY, KEY
from tests.support.raw import MESSAGE, UpstreamSide, answer, chunk, raw_upstream

pytestmark = pytest.mark.no_cover  # what it runs, others run too

BUDGET = 80_000_000
WITHOUT_BODIES = 150_000_000
MOST_BYTES = WITHOUT_BODIES + BUDGET
# One of them has half of the budget at the most.
KEYS = (KEY, "ar-second-key-0123456789")
# All that can be on: what counts, keeps and tells has memory of its own.
SETTINGS = f"""\
limits: {{body_memory_bytes: {BUDGET}, max_connections: 200}}
store: {{url: "sqlite:///store.db", state_dir: state}}
quota: {{each_key: {{budgets: {{day_usd: 100000}}, limits: {{max_in_flight: 100}}}}}}
admin: {{port: %d, keys: [{{name: ops, key: ara-0123456789-abcdefghijklmnopq}}]}}
"""
LISTENING = b"listening on http://127.0.0.1:"
PIECE = 1 << 16
LARGE = 31_000_000
GZIP = b"content-encoding: gzip"

LONG_NAME = b'{"%b":1}' % (b"x" * LARGE)
MANY_NAMES = b"{%b}" % b",".join(b'"%d":0' % number for number in range(900_000))
SOME_NAMES = b"{%b}" % b",".join(b'"%d":0' % number for number in range(24_000))
LONG_TEXT = BODY.replace(b"say hi", b"x" * LARGE)
ESCAPES = BODY.replace(b"say hi", b"\\u00e9" * (LARGE // 6))
MANY_MODELS = LONG_TEXT[:-1] + b',"fallbacks":[%b]}' % b",".join([b'{"model":"claude-a"}'] * 100)
TWICE = b'{"system":"a",' + LONG_TEXT[1:-1] + b',"system":"b"}'
HOSTILE = {
    "a name of 31 MB": (LONG_NAME, b"", 4),
    "a name of 31 MB in 31 kB": (gzip.compress(LONG_NAME), GZIP, 8),
    "900,000 names": (MANY_NAMES, b"", 4),
    "60 times 24,000 names": (SOME_NAMES, b"", 60),
    "100 times 31 MB": (LONG_TEXT, b"", 100),
}
LEFT = {
    "31 MB in 31 kB": (gzip.compress(LONG_TEXT), GZIP),
    "31 MB of escapes": (ESCAPES, b""),
    "31 MB beside 100 models": (MANY_MODELS, b""),
    "31 MB beside a name that comes twice": (TWICE, b""),
}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
IN_CHUNKS = HEAD + b"transfer-encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\n%b\r\n"
LINE = b"x-more: %b\r\n" % (b"v" * 60_000)
# What an upstream begins with, and then says over and over.
ENDLESS = {
    "a head": (HEAD, LINE),
    "interim heads": (b"", EARLY % (LINE * 10)),
    "small interim heads": (b"", EARLY % b"" * 10_000),
    "a request-id of control characters": (HEAD, b"request-id: %b\r\n" % (b"\x01" * 60_000)),
    "trailers": (IN_CHUNKS + chunk(MESSAGE) + b"0\r\n", LINE),
    "answers behind its own": (answer(), answer(b" " * (1 << 20))),
    "bytes behind its answer": (answer(), b"x" * (1 << 20)),
}
UPGRADES = {
    "h2c": (b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABk"),
    "a web socket": (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"),
}
# Of each so much comes, unless it is broken off; were it kept of all at once, there would be no room for it.
MOST_SENT = 48_000_000
AT_ONCE = 8

# What each of them left, were it left, would be more than there is room for.
LEAVERS = 4


@dataclasses.dataclass
class Deaf:
    """An upstream that takes connections, and nothing of what comes on them."""

    url: str
    connections: asyncio.Queue[asyncio.BaseTransport]


@contextlib.asynccontextmanager
async def upstream_that_reads_nothing() -> AsyncIterator[Deaf]:
    connections: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()
    every: list[asyncio.Transport] = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
            connections.put_nowait(transport)
            every.append(transport)  # type: ignore[arg-type] # as above

    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    try:
        yield Deaf(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections)
    finally:
        server.close()
        for connection in every:
            connection.abort()


async def send(client: Client, body: bytes, header: bytes, key: str) -> None:
    """Send a request."""
    length = b"content-length: %d" % len(body)
    lines = filter(None, (header, length))
    await client.send(request(*lines, body=b"", length=False, headers={"x-api-key": key}))
    for start in range(0, len(body), PIECE):
        await client.send(body[start : start + PIECE])


async def post(port: int, body: bytes, header: bytes, key: str, *, within_s: float) -> None:
    """Send a request, and leave when there is a response, or none comes in time."""
    async with connected("127.0.0.1", port) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(within_s):
                await send(client, body, header, key)
                await client.answer()


async def ask_and_leave(port: int, upstream: Deaf, body: bytes, header: bytes, key: str) -> None:
    """Send a request, and leave when its upstream has been asked."""
    async with connected("127.0.0.1", port) as client:
        await send(client, body, header, key)
        async with asyncio.timeout(20):
            await upstream.connections.get()


async def send_behind(port: int, lines: tuple[bytes, ...], key: str) -> None:
    """Send a request to upgrade, and bytes behind it until the connection is closed."""
    async with connected("127.0.0.1", port) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(7):
                await client.send(request(*lines, headers={"x-api-key": key}))
                for _ in range(MOST_SENT // PIECE):
                    await client.send(b"x" * PIECE)
                await client.until_closed()


@contextlib.asynccontextmanager
async def serving(folder: Path, upstream_url: str) -> AsyncIterator[tuple[int, Callable[[], int]]]:
    """Run a gateway with all that can be on; give its port, and what tells the most memory a process of it has had."""
    config = write_config(folder, upstream_url, SETTINGS % _free_port())
    more = f"keys: [{{name: second, key: {KEYS[1]}}}, "
    config.write_text(config.read_text("utf-8").replace("keys: [", more, 1), "utf-8")
    async with started("serve", "--config", config, "--host", "127.0.0.1") as command:
        port = int((await command.says(LISTENING)).strip('"},'))
        yield port, lambda: max(map(peak_bytes, (command.process.pid, *children(command))))


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
    async with (
        upstream_that_reads_nothing() as upstream,
        serving(tmp_path, upstream.url) as (port, most),
    ):

        def check(what: str) -> None:
            peak = most()
            record_property(what, peak)
            assert peak < MOST_BYTES, what

        for what, (body, header) in LEFT.items():
            for key in itertools.islice(itertools.cycle(KEYS), LEAVERS):
                await ask_and_leave(port, upstream, body, header, key)
            check(f"{LEAVERS} that left {what}")
        for what, (body, header, times) in HOSTILE.items():
            keys = itertools.islice(itertools.cycle(KEYS), times)
            await asyncio.gather(*(post(port, body, header, key, within_s=7) for key in keys))
            check(what)


@pytest.mark.slow
async def test_what_upstreams_say_without_end_and_what_follows_upgrades_is_not_kept(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    says = b"", b""

    async def script(exchange: UpstreamSide) -> None:
        begins, goes_on = says
        await exchange.send(begins)
        for _ in range(MOST_SENT // len(goes_on)):
            await exchange.send(goes_on)

    async with (
        raw_upstream(script) as upstream,
        serving(tmp_path, upstream.url) as (port, most),
    ):

        def check(what: str) -> None:
            peak = most()
            record_property(what, peak)
            assert peak < WITHOUT_BODIES, what

        for what, says in ENDLESS.items():  # noqa: B007 - the script reads it
            keys = itertools.islice(itertools.cycle(KEYS), AT_ONCE)
            await asyncio.gather(*(post(port, BODY, b"", key, within_s=7) for key in keys))
            check(f"{what} without end")
        says = answer(), b"x" * (MOST_SENT + 1)  # of which nothing is sent
        for what, lines in UPGRADES.items():
            keys = itertools.islice(itertools.cycle(KEYS), AT_ONCE)
            await asyncio.gather(*(send_behind(port, lines, key) for key in keys))
            check(f"bytes behind {what}")
