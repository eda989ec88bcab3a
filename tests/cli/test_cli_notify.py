"""A service manager that asks is told when the gateway listens, and when it begins to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import environment, serving, started, write_config

LISTENING = b"listening on http://127.0.0.1:"


@contextlib.contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """Listen as a service manager does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("is_abstract", [False, True], ids=["a path", "abstract"])
async def test_it_is_told_when_all_listen_and_when_they_begin_to_stop(
    tmp_path: Path, workers: str, *, is_abstract: bool
) -> None:
    path = str(tmp_path / "notify")
    loop = asyncio.get_running_loop()
    with manager(f"\0{path}" if is_abstract else path) as listening:
        env = environment(NOTIFY_SOCKET=f"@{path}" if is_abstract else path)
        args = ("serve", "--config", write_config(tmp_path), "--workers", workers)
        async with started(*args, env=env) as command, asyncio.timeout(15):
            assert await loop.sock_recv(listening, 100) == b"READY=1"
            await serving(f"http://127.0.0.1:{await command.says(LISTENING)}/healthz")
            command.tell()
            assert await loop.sock_recv(listening, 100) == b"STOPPING=1"
            assert await command.ended() == 0


async def test_one_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    env = environment(NOTIFY_SOCKET=str(tmp_path / "none"))
    async with started("serve", "--config", write_config(tmp_path), env=env) as command:
        await serving(f"http://127.0.0.1:{await command.says(LISTENING)}/healthz")
        await command.says(b"the service manager could not be told")
        command.tell()
        assert await command.ended() == 0
