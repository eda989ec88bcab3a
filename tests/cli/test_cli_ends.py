"""The running command on signals: what is in flight is let finish, or not."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.cli.listening import LISTENING
from tests.cli.one_stream import Held, one_stream
from tests.support.commands import (
    environment,
    started,
    status_of,
    write_config,
)
from tests.support.gateways import HEADERS
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, chunk, raw_upstream


async def test_a_second_signal_and_what_it_does_is_told_only_when_there_is_something_to_end(
    tmp_path: Path,
) -> None:
    async with started("serve", "--config", write_config(tmp_path)) as command:
        await command.says(LISTENING)
        command.tell(signal.SIGINT)
        assert await command.ended() == 0
    assert "draining" not in command.text


async def test_it_ends_when_nobody_reads_its_access_lines(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, bytes(1 << 16)):
            pass
    os.set_blocking(writing, True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "serve", "--config", config),
        env=environment(),
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(15):
            said = await process.stderr.readuntil(LISTENING)
            port = int((await process.stderr.readline()).partition(b'"')[0])
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{port}/v1/models"
                assert await status_of(session, url, **HEADERS) == 200
            process.terminate()
            said += await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(reading)
        os.close(writing)
    assert b"1 access lines were lost" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("by", ["SIGTERM", "SIGINT", "SIGINT to the group", "SIGTERM to the group"])
async def test_a_signal_lets_the_running_stream_finish(
    tmp_path: Path, by: str, workers: str
) -> None:
    async with raw_upstream(script := Held()) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, "--workers", workers) as command:
            async with one_stream(command) as client:
                number = signal.Signals[by.split(maxsplit=1)[0]]
                (command.tell_group if "group" in by else command.tell)(number)
                await command.says(b"draining: 1")
                script.go_on.set()
                assert b"message_stop" in await client.until(b"0\r\n\r\n")
            assert await command.ended() == 0
    assert b"Traceback" not in command.err


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_second_signal_hurries(tmp_path: Path, workers: str) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await exchange.until_closed()

    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, "--workers", workers) as command:
            async with one_stream(command) as client:
                command.tell(signal.SIGINT)
                told = await command.says(b"draining: 1 in flight, for 30 s at the most; ")
                assert told == "a second Ctrl-C or SIGTERM ends them now"
                command.tell(signal.SIGINT)
                assert b"event: error" in await client.until(b"0\r\n\r\n")
            assert await command.ended() == 0
    assert b'"cause":"draining"' in command.out
