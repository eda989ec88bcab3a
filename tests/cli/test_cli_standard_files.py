"""Whatever becomes of standard input, output and error: a gateway serves and ends with 0."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.support.commands import WITHIN_S, environment, status_of, write_config
from tests.support.gateways import BODY, HEADERS

pytestmark = pytest.mark.no_cover  # what it runs, others run too

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"]
FULL = [">/dev/full", "2>/dev/full", ">/dev/full 2>&1"]


def command_line(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "proxy", *map(str, args)]


@contextlib.asynccontextmanager
async def running(
    redirected: str, *args: str | Path, stdout: int | None = None, stderr: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command with redirections of the shell's; it gets the files of the test where none is given."""
    line = f"exec {shlex.join(command_line(*args))} {redirected}"
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", line),
        env=environment(),
        start_new_session=True,
        stdout=stdout,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(WITHIN_S):
        return await process.wait()


def listening_ports(pid: int) -> set[int]:
    """Return the ports on which a process or its children listen: it may have no way to tell."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    links = set()
    for each in (str(pid), *children):
        with contextlib.suppress(OSError):
            links |= {str(file.readlink()) for file in Path(f"/proc/{each}/fd").iterdir()}
    lines = map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {
        int(fields[1].split(":")[1], 16)
        for fields in lines
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links
    }


def standard_files(pid: int) -> list[str]:
    return [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)]


async def port_of(process: asyncio.subprocess.Process, count: int = 1) -> int:
    """Wait until a gateway listens; return its port, the highest of so many."""
    async with asyncio.timeout(WITHIN_S):
        while len(ports := listening_ports(process.pid)) < count:
            assert process.returncode is None
            await asyncio.sleep(0.02)  # another process: there is no event to wait for
    return max(ports)


async def used(process: asyncio.subprocess.Process) -> None:
    """Use a gateway whose upstream cannot be reached: access lines and warnings come of it."""
    port = await port_of(process)
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1/messages"
        for _ in range(20):
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                assert response.status == 502


@pytest.mark.parametrize(
    ("redirected", "workers"),
    [*((each, "1") for each in (*CLOSED, *FULL)), ("<&- >&- 2>&-", "2"), (">/dev/full 2>&1", "2")],
)
async def test_a_gateway_serves_and_ends_with_0(
    tmp_path: Path, redirected: str, workers: str
) -> None:
    args = ("serve", "--config", write_config(tmp_path), "--workers", workers)
    async with running(redirected, *args) as process:
        await used(process)
        process.terminate()
        assert await ended(process) == 0


def full_pipe() -> tuple[int, int]:
    """Return both ends of a pipe that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, bytes(1 << 16)):
            pass
    os.set_blocking(writing, True)
    return reading, writing


def broken_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.close(reading)
    return os.dup(writing), writing


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("pipe", [full_pipe, broken_pipe])
@pytest.mark.parametrize("names", [("stdout",), ("stderr",), ("stdout", "stderr")], ids=" ".join)
async def test_a_pipe_that_takes_nothing_stops_no_gateway(
    tmp_path: Path, names: tuple[str, ...], pipe: Callable[[], tuple[int, int]], workers: str
) -> None:
    other, writing = pipe()
    args = ("serve", "--config", write_config(tmp_path), "--workers", workers)
    try:
        async with running(
            "",
            *args,
            stdout=writing if "stdout" in names else None,
            stderr=writing if "stderr" in names else None,
        ) as process:
            await used(process)
            process.terminate()
            assert await ended(process) == 0
    finally:
        os.close(other)
        os.close(writing)


@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
async def test_a_demo_serves_and_ends_with_0(redirected: str) -> None:
    async with running(redirected, "demo", "--port", "0") as process:
        await port_of(process, count=3)  # the sandbox's, the pages', then its own
        process.terminate()
        assert await ended(process) == 0


async def test_a_flood_of_failing_calls_is_one_line_at_once_and_one_with_their_number(
    tmp_path: Path,
) -> None:
    args = ("serve", "--config", write_config(tmp_path))
    async with running(">/dev/null", *args, stderr=asyncio.subprocess.PIPE) as process:
        await used(process)
        process.terminate()
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert await ended(process) == 0
    lines = [json.loads(line) for line in said.splitlines()]
    failing = [line["message"] for line in lines if line["logger"].startswith("proxy.upstreams")]
    assert len(failing) == 2
    assert failing[1].endswith("(repeated 19 times in 10 s)")


@pytest.mark.parametrize(
    ("redirected", "unbuffered"),
    [
        (">&-", ""),
        ("2>&-", ""),
        (">/dev/full", ""),
        ("2>/dev/full", ""),
        (">/dev/full", "1"),
        ("| true", ""),
    ],
)
async def test_a_verdict_counts_whoever_reads_it(
    tmp_path: Path, redirected: str, unbuffered: str
) -> None:
    config = write_config(tmp_path)
    line = f"{shlex.join(command_line('check', '--config', config))} {redirected}"
    for more, status in (("", 0), ("colour: blue\n", 2)):
        config.write_text(config.read_text("utf-8") + more, "utf-8")
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", line),
            env=environment(PYTHONUNBUFFERED=unbuffered),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()
        assert process.returncode == status
        assert b"Traceback" not in err
        assert b"Exception" not in err


@pytest.mark.parametrize("redirected", [">/dev/full", "| true"])
async def test_a_key_that_could_not_be_shown_is_no_success(redirected: str) -> None:
    line = f"{shlex.join(command_line('keys', 'new', 'x'))} {redirected}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-o", "pipefail", "-c", line), env=environment(), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    if b"could not" in err or ">" in redirected:  # else `true` has ended later than it
        assert process.returncode == 1
        assert err.startswith(b"anyrouter: the key could not be printed: ")
        assert err.count(b"\n") == 1


async def test_what_is_printed_goes_to_no_client_when_standard_output_is_closed(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path)
    async with running("<&- >&- 2>&-", "serve", "--config", config) as process:
        port = await port_of(process)
        assert standard_files(process.pid) == [os.devnull] * 3
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v1/models"
            assert await status_of(session, url, **HEADERS) == 200
