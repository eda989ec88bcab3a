"""SIGHUP again and again while streams run: none breaks, nothing is left, and the last state counts."""

import asyncio
import signal
from pathlib import Path

import aiohttp

from tests.cli.test_cli_workers import LISTENING
from tests.support.commands import Command, started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

STREAMS, SIGNALS = 50, 100
# Much less than fifty configurations; much more than what an allocator does in between.
MOST_KB = 4096


def open_files(command: Command) -> int:
    return len(list(Path(f"/proc/{command.process.pid}/fd").iterdir()))


def memory_kb(command: Command) -> int:
    status = Path(f"/proc/{command.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def test_a_hundred_signals_break_none_of_fifty_streams_and_leave_nothing_open(
    tmp_path: Path,
) -> None:
    begun, may_end, heads = asyncio.Semaphore(0), asyncio.Event(), [b""]

    async def script(upstream: UpstreamSide) -> None:
        heads.append(upstream.head)
        if b'"stream": true' not in upstream.body:
            await upstream.send(answer())
            return
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        begun.release()
        await may_end.wait()
        await upstream.send(chunk(b"".join(EVENTS[1:])) + chunk(b""))

    secret, new = tmp_path / "secret", tmp_path / "new"
    secret.write_text("sk-0")
    async with raw_upstream(script) as upstream:
        more = "echo_model: false\nreload: {watch: false}\n"
        config = write_config(tmp_path, upstream.url, more)
        config.write_text(config.read_text().replace("${UPSTREAM_KEY}", "${file:secret}"))
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            started("serve", "--config", config) as command,
            aiohttp.ClientSession(connector=connector, headers=HEADERS) as session,
            asyncio.timeout(20),
        ):
            port = int(await command.says(LISTENING))

            async def ask(body: bytes) -> bytes:
                url = f"http://127.0.0.1:{port}/v1/messages"
                async with session.post(url, data=body) as response:
                    assert response.status == 200
                    return await response.read()

            streams = [asyncio.create_task(ask(STREAM_BODY)) for _ in range(STREAMS)]
            for _ in range(STREAMS):
                await begun.acquire()
            await ask(BODY)
            before = open_files(command)
            for number in range(1, SIGNALS + 1):
                new.write_text(f"sk-{number}")
                new.rename(secret)
                command.tell(signal.SIGHUP)
                if number % 10 == 0:
                    await ask(BODY)
                if number == SIGNALS // 2:
                    halfway_kb = memory_kb(command)
            while b"sk-%d\r\n" % SIGNALS not in heads[-1]:
                await ask(BODY)
            assert memory_kb(command) < halfway_kb + MOST_KB
            assert open_files(command) <= before + 2, "but for a file that is just being read"
            assert not any(stream.done() for stream in streams)
            may_end.set()
            assert await asyncio.gather(*streams) == [STREAM] * STREAMS
            command.tell()
            assert await command.ended() == 0
        assert b"was not taken over" not in command.err
