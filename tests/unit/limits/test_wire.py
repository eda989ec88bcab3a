"""A connection to Redis: each reply is of the command that waits for it, or the connection ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hiredis
import pytest

from proxy.limits.server import Server
from proxy.limits.wire import Wire, connect
from tests.support.certificates import CA, server_context
from tests.support.redis_server import RedisServer

_USER, _SECRET = "counter", "p/w:1"


@asynccontextmanager
async def a_server_that_says(folder: Path, *said: bytes) -> AsyncIterator[str]:
    """Run a server that answers the first command with these pieces, each after the other was read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        for piece in said:
            writer.write(piece)
            await writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)
        await reader.read(1000)
        writer.close()

    path = folder / "redis.sock"
    async with await asyncio.start_unix_server(serve, path):
        yield f"unix://{path}"


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ([b"+OK\r\n"], b"OK"),
        ([b"*2\r\n:1\r\n", b"$3\r\na", b"bc\r\n"], [1, b"abc"]),
        ([b"*0\r\n"], []),
        ([b"$-1\r\n"], None),
    ],
    ids=["whole", "in pieces", "empty", "nothing"],
)
async def test_a_reply_is_what_the_server_says(
    tmp_path: Path, said: list[bytes], reply: Any
) -> None:
    async with asyncio.timeout(10), a_server_that_says(tmp_path, *said) as url:
        wire = await connect(url)
        assert await wire.ask("PING") == reply
        assert wire.is_open
        wire.close()


@pytest.mark.parametrize("name", ["good", "stranger"])
async def test_over_tls_a_server_is_asked_whose_certificate_is_trusted(name: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"+PONG\r\n")
        await reader.read(1000)
        writer.close()

    tls = server_context(name)
    async with asyncio.timeout(10), await asyncio.start_server(serve, "127.0.0.1", ssl=tls) as ours:
        port = ours.sockets[0].getsockname()[1]
        connecting = connect(f"rediss://127.0.0.1:{port}?ssl_ca_certs={CA}")
        if name == "stranger":
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                await connecting
        else:
            wire = await connecting
            assert await wire.ask("PING") == b"PONG"
            wire.close()


async def test_a_refusal_leaves_the_connection_open(tmp_path: Path) -> None:
    async with asyncio.timeout(10), a_server_that_says(tmp_path, b"-OOM no memory\r\n") as url:
        wire = await connect(url)
        with pytest.raises(hiredis.ReplyError, match="OOM no memory"):
            await wire.ask("PING")
        assert wire.is_open
        wire.close()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\n\r\n", b"+OK\r\n+OK\r\n"], ids=["no Redis", "a reply too many"]
)
async def test_what_nobody_can_know_the_meaning_of_ends_the_connection(
    tmp_path: Path, said: bytes
) -> None:
    async with asyncio.timeout(10), a_server_that_says(tmp_path, said) as url:
        wire = await connect(url)
        with pytest.raises((hiredis.HiredisError, OSError)):
            await wire.ask("PING")
        assert not wire.is_open


async def test_whoever_stops_waiting_ends_the_connection(redis_server: RedisServer) -> None:
    wire = await connect(redis_server.url)
    redis_server.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.ask("PING")
    finally:
        redis_server.thaw()
    assert not wire.is_open
    with pytest.raises(OSError, match="closed"):
        await wire.ask("PING")


async def test_a_connection_that_the_server_ends_is_closed(redis_server: RedisServer) -> None:
    wire = await connect(redis_server.url)
    with redis_server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises((OSError, RuntimeError)):  # the latter is uvloop's
        await wire.ask("BLPOP", "nothing", 5)
    assert not wire.is_open


async def test_user_database_and_name_are_those_of_the_url(redis_server: RedisServer) -> None:
    path = redis_server.url.removeprefix("unix://")
    with redis_server.client() as client:
        client.acl_setuser(_USER, enabled=True, passwords=[f"+{_SECRET}"], keys="*", categories=["+@all"])  # fmt: skip
        try:
            wire = await connect(f"unix://{_USER}:p%2Fw%3A1@{path}?db=3&client_name=gateway-1")
            assert await wire.ask("ACL", "WHOAMI") == _USER.encode()
            assert await wire.ask("CLIENT", "GETNAME") == b"gateway-1"
            await wire.ask("SET", "counted", 1)
            wire.close()
            assert client.get("counted") is None
            with pytest.raises(hiredis.ReplyError, match="WRONGPASS"):
                await connect(f"unix://{_USER}:wrong@{path}")
        finally:
            client.acl_deluser(_USER)


@pytest.mark.parametrize(
    ("option", "is_kept"),
    [("", True), ("?socket_keepalive=no", False)],
    ids=["usual", "not wanted"],
)
async def test_an_idle_connection_is_kept_alive_unless_the_url_says_otherwise(
    option: str, *, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that forgets it would cost the next request its verdict: one that fails closed is then refused."""
    made: list[Any] = []
    is_made = Wire.connection_made

    def kept(wire: Wire, transport: asyncio.BaseTransport) -> None:
        made.append(transport.get_extra_info("socket"))
        is_made(wire, transport)

    monkeypatch.setattr(Wire, "connection_made", kept)
    async with (
        asyncio.timeout(10),
        await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1") as ours,
    ):
        wire = await connect(f"redis://127.0.0.1:{ours.sockets[0].getsockname()[1]}{option}")
        assert bool(made[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is is_kept
        if is_kept:
            assert made[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
        wire.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://h?socket_timeout=soon",
        "redis://h?a=b",
        "rediss://h?ssl_cert_reqs=no",
        "redis://u:p/w@h",
    ],
    ids=["a value that is none", "no option", "no requirement", "a password that is not quoted"],
)
async def test_a_url_that_says_nothing_ends_the_start_in_words_without_its_secrets(
    url: str,
) -> None:
    with pytest.raises(RuntimeError, match="cannot be understood") as caught:
        await Server(url, "test", 1).open()
    assert "p/w" not in str(caught.value)
    assert caught.value.__suppress_context__
