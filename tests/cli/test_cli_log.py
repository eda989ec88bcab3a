"""One log: as JSON, every line of both streams is an object with a time in UTC; on a terminal, a row for people."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.client import request, talk
from tests.support.commands import environment, ran, serving, started, status_of, write_config
from tests.support.gateways import HEADERS

LISTENING = b"listening on http://127.0.0.1:"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LEVELS = {"debug", "info", "warning", "error", "critical"}


def decoded(written: bytes) -> list[dict[str, Any]]:
    """Return lines of JSON, each with a time and a level."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.splitlines()]
    for line in lines:
        assert TIME.fullmatch(line["time"])
        assert line["level"] in LEVELS
    return lines


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("more", ["", "log: {format: json, level: debug}\n"], ids=["auto", "json"])
async def test_as_json_every_line_of_both_streams_is_an_object(
    tmp_path: Path, workers: str, more: str
) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1", more)
    # Another zone: the clock is UTC all the same.
    env = environment(TZ="Asia/Tokyo")
    async with started("serve", "--config", config, "--workers", workers, env=env) as command:
        port = int(await command.says(LISTENING))
        await talk("127.0.0.1", port, request().replace(b"Host", b"connection: close\r\nHost", 1))
        command.tell(signal.SIGHUP)
        await command.says(b"nothing has changed")
        command.tell()
        assert await command.ended() == 0
    (line,) = decoded(bytes(command.out))
    assert (line["status"], line["level"], line["cause"]) == (502, "error", "upstream_unreachable")
    said = decoded(bytes(command.err))
    assert all(each["logger"] and each["message"] for each in said)
    (told,) = [each for each in said if each["logger"] == "proxy.upstreams.failures"]
    # One clock: the two lines tell of the same moment, whatever zone the machine is in.
    assert told["time"][:13] == line["time"][:13] or told["time"][14:16] == "00"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_why_it_cannot_start_is_json_too(tmp_path: Path, workers: str) -> None:
    config = write_config(tmp_path, more="log: {format: json}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = await ran(
            "serve", "--config", config, "--port", port, "--workers", workers
        )
    assert (status, out) == (1, "")
    assert "ddress already in use" in decoded(err.encode())[-1]["message"]


async def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    config = write_config(tmp_path, more="log: {level: warning}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with started("serve", "--config", config, "--port", str(port)) as command:
        await serving(f"http://127.0.0.1:{port}/healthz")
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v1"
            assert await status_of(session, f"{url}/models", **HEADERS) == 200
            assert await status_of(session, f"{url}/nothing") == 404
        command.tell()
        assert await command.ended() == 0
    assert [line["status"] for line in decoded(bytes(command.out))] == [404]


@contextlib.asynccontextmanager
async def on_a_terminal(config: Path, **env: str) -> AsyncIterator[asyncio.StreamReader]:
    """Serve with both streams on one terminal; yields what it shows."""
    shown, side = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "serve", "--config", config),
        env=environment(TERM="xterm", **env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(shown, "rb", buffering=0)
    )
    try:
        async with asyncio.timeout(15):
            yield reader
    finally:
        process.kill()
        await process.wait()
        transport.close()


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["coloured", "plain"])
async def test_on_a_terminal_a_request_is_a_row(tmp_path: Path, env: dict[str, str]) -> None:
    async with on_a_terminal(write_config(tmp_path), **env) as screen:
        said = await screen.readuntil(LISTENING)
        port = int(await screen.readline())
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            assert await status_of(session, f"{url}/healthz") == 200
            assert await status_of(session, f"{url}/v1/models", **HEADERS) == 200
        while b" GET " not in (row := (await screen.readline()).decode().encode()):
            said += row
    assert b"{" not in said + row
    assert (b"\x1b[32m200\x1b[0m" in row) is (not env)
    plain = re.sub(r"\x1b\[\d+m", "", row.decode())
    assert re.fullmatch(r"\d\d:\d\d:\d\d 200 GET models tester \d+ ms\r\n", plain)
