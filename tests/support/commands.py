"""Run the command line as its users do: as a process of its own."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import aiohttp

from tests.support.gateways import KEY, UPSTREAM_KEY

ROOT = Path(__file__).parents[2]
WITHIN_S = 15.0
# By which coverage reaches a process.
COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_FILE", "COVERAGE_PROCESS_CONFIG")
CONFIG = """\
listen: {{port: 0}}
upstreams:
  first: {{base_url: "{url}", auth: {{scheme: x-api-key, key: "${{UPSTREAM_KEY}}"}}}}
models: [{{id: "anthropic/*", upstream: first}}]
keys: [{{name: tester, key: "${{CLIENT_KEY}}"}}]
"""


def environment(**more: str) -> dict[str, str]:
    """Give an environment without anything of the developer's but what finds programs."""
    passed = {name: os.environ[name] for name in ("PATH", *COVERAGE) if name in os.environ}
    return {
        **passed,
        "PYTHONPATH": str(ROOT),
        "CLIENT_KEY": KEY,
        "UPSTREAM_KEY": UPSTREAM_KEY,
        **more,
    }


def write_config(folder: Path, upstream_url: str = "http://127.0.0.1:1", more: str = "") -> Path:
    """Write a configuration for one upstream."""
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(url=upstream_url) + more, "utf-8")
    return path


@dataclasses.dataclass
class Command:
    """A process under way. `out` and `err` hold what it has written so far."""

    process: asyncio.subprocess.Process
    started: float
    out: bytearray = dataclasses.field(default_factory=bytearray)
    err: bytearray = dataclasses.field(default_factory=bytearray)
    written: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def collect(self, stream: asyncio.StreamReader, into: bytearray) -> None:
        """Read a stream to its end."""
        while part := await stream.read(1 << 16):
            into += part
            self.written.set()
        self.written.set()

    async def says(self, mark: bytes) -> str:
        """Wait until the process has written a mark; give the rest of that line."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                self.written.clear()
                for text in (self.out, readable(bytes(self.err))):
                    _, found, rest = bytes(text).partition(mark)
                    if found and b"\n" in rest:
                        return rest.partition(b"\n")[0].decode()
                if self.process.returncode is not None:
                    raise AssertionError(f"ended: {self.out.decode()} {self.err.decode()}")
                await self.written.wait()

    async def ended(self) -> int:
        """Wait for the end; give the exit status."""
        async with asyncio.timeout(WITHIN_S):
            return await self.process.wait()

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def tell_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children, as a terminal does."""
        os.killpg(self.process.pid, number)

    @property
    def text(self) -> str:
        """Everything written."""
        return (self.out + self.err).decode()


def readable(log: bytes) -> bytes:
    """Return a log of JSON lines as the messages in them; other lines as they are."""
    return b"".join(
        json.loads(line)["message"].encode() + b"\n" if line.startswith(b'{"time"') else line
        for line in log.splitlines(keepends=True)
        if line.endswith(b"\n")
    )


@contextlib.asynccontextmanager
async def started(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "proxy"),
) -> AsyncIterator[Command]:
    """Run `anyrouter` in a session of its own; what is left of it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *args,
        cwd=cwd,
        env=environment() if env is None else env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    async with attended(process) as command:
        yield command


@contextlib.asynccontextmanager
async def attended(process: asyncio.subprocess.Process) -> AsyncIterator[Command]:
    """Collect what a process says by its pipes; what is left of its group is killed at the end."""
    command = Command(process, time.monotonic())
    if process.stdout is None or process.stderr is None:
        raise AssertionError("pipes were asked for")
    reading = [
        asyncio.create_task(command.collect(process.stdout, command.out)),
        asyncio.create_task(command.collect(process.stderr, command.err)),
    ]
    try:
        yield command
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*reading)


async def ran(
    *args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run `anyrouter` to its end; give exit status, stdout and stderr."""
    async with started(*args, cwd=cwd, env=env) as command:
        status = await command.ended()
    return status, command.out.decode(), command.err.decode()


async def status_of(session: aiohttp.ClientSession, url: str, **headers: str) -> int | None:
    """GET a URL; None when nobody answers."""
    try:
        async with session.get(url, headers=headers) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return None


async def serving(url: str) -> None:
    """Wait until a URL answers 200."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_S):
        while True:
            if await status_of(session, url) == 200:
                return
            await asyncio.sleep(0.01)  # another process: there is no event to wait for
