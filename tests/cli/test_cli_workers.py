"""`anyrouter serve --workers N`: several processes on one port."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.support.commands import Command, ran, started, status_of, write_config

LISTENING = b"listening on http://127.0.0.1:"


def children(command: Command) -> set[int]:
    """Give the workers' process ids."""
    pid = command.process.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def listens(pid: int, port: int) -> bool:
    """Tell whether a process listens on a port."""
    inodes = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port
    }
    try:
        links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


async def a_child(command: Command) -> None:
    """Wait until a worker is forked; it does not listen yet."""
    async with asyncio.timeout(10):
        while True:
            if children(command):
                return
            await asyncio.sleep(0.002)  # another process: there is no event to wait for


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def all_gone(pids: set[int]) -> None:
    """Wait until processes, no children of ours, have ended."""
    async with asyncio.timeout(10):
        while True:
            if not any(exists(pid) for pid in pids):
                return
            await asyncio.sleep(0.02)  # other processes


async def all_ended(pids: set[int]) -> None:
    """Wait until processes have ended that their parent, which is stopped, has not looked at."""
    async with asyncio.timeout(10):
        while True:
            if all(has_ended(pid) for pid in pids):
                return
            await asyncio.sleep(0.02)  # other processes


async def all_listen(command: Command, port: int, count: int) -> set[int]:
    """Wait until so many workers listen; give their process ids."""
    async with asyncio.timeout(10):
        while True:
            serving = {pid for pid in children(command) if listens(pid, port)}
            if len(serving) == count:
                return serving
            await asyncio.sleep(0.02)  # other processes


async def answers(port: int, times: int) -> list[int | None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        url = f"http://127.0.0.1:{port}/healthz"
        return [await status_of(session, url) for _ in range(times)]


async def test_workers_share_the_port_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--workers", "2") as command:
        port = int(await command.says(LISTENING))
        before = {pid for pid in children(command) if listens(pid, port)}
        assert len(before) == 2
        assert await answers(port, 20) == [200] * 20
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await command.says(b"worker %d ended with status -9" % killed)
        after = await all_listen(command, port, 2)
        assert len(before & after) == 1
        assert killed not in after
        assert await answers(port, 20) == [200] * 20
        command.tell()
        assert await command.ended() == 0
        assert not any(exists(pid) for pid in after)
    assert command.err.count(b"starting another") == 1


async def test_who_waits_at_a_worker_that_is_killed_is_answered_by_the_next_one(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--workers", "2") as command:
        port = int(await command.says(LISTENING))
        killed = min(await all_listen(command, port, 2))
        # It accepts nothing more, while the kernel goes on handing it its half of the connections.
        os.kill(killed, signal.SIGSTOP)
        asked = asyncio.create_task(answers_at_once(port, 20))
        async with asyncio.timeout(10):
            while True:
                if waiting_connections(port):
                    break
                await asyncio.sleep(0.01)  # the kernel's doing: there is no event to wait for
        os.kill(killed, signal.SIGKILL)
        assert await asked == [200] * 20
        command.tell()
        assert await command.ended() == 0


async def answers_at_once(port: int, count: int) -> list[int | None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        url = f"http://127.0.0.1:{port}/healthz"
        return await asyncio.gather(*(status_of(session, url) for _ in range(count)))


def waiting_connections(port: int) -> int:
    """Count the connections that are established and that no process has accepted: they have no inode yet."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        each[3] == "01" and int(each[1].split(":")[1], 16) == port and each[9] == "0"
        for each in rows
    )


async def test_a_stop_during_the_start_is_clean(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--workers", "2") as command:
        await a_child(command)
        command.tell_group(signal.SIGINT)
        assert await command.ended() == 0
    assert b"Traceback" not in command.err
    assert b"starting another" not in command.err


async def test_workers_drain_and_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--workers", "2") as command:
        await command.says(LISTENING)
        workers = children(command)
        assert len(workers) == 2
        command.tell(signal.SIGKILL)
        await all_gone(workers)
    assert command.err.count(b"stopped") == 2


# `anyrouter`, whose workers may be stuck for three seconds instead of ten.
IMPATIENT = (
    "import functools, proxy.commands.serve as serve;"
    "serve.supervise = functools.partial(serve.supervise, silent_s=3.0);"
    "from proxy.__main__ import main; raise SystemExit(main())"
)


async def test_a_worker_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    args = ("serve", "--config", config, "--workers", "2")
    async with started(*args, program=("-c", IMPATIENT)) as command:
        port = int(await command.says(LISTENING))
        stopped = min(await all_listen(command, port, 2))
        os.kill(stopped, signal.SIGSTOP)
        await command.says(b"worker %d has been stuck for 3 s" % stopped)
        # That is said before it is killed: until it has ended, it is a child that holds its socket.
        await command.says(b"worker %d ended with status -9" % stopped)
        after = await all_listen(command, port, 2)
        assert stopped not in after
        assert await answers(port, 20) == [200] * 20
        command.tell()
        assert await command.ended() == 0


async def test_workers_that_were_stopped_with_their_parent_are_not_stuck(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    args = ("serve", "--config", config, "--workers", "2")
    async with started(*args, program=("-c", IMPATIENT)) as command:
        port = int(await command.says(LISTENING))
        before = await all_listen(command, port, 2)
        command.tell_group(signal.SIGSTOP)
        await asyncio.sleep(5)  # longer than they may be stuck
        command.tell_group(signal.SIGCONT)
        assert await answers(port, 20) == [200] * 20
        assert await all_listen(command, port, 2) == before
        command.tell()
        assert await command.ended() == 0
    assert b"stuck" not in command.err


async def test_a_stopped_worker_does_not_hold_the_end(tmp_path: Path) -> None:
    config = write_config(tmp_path, more="timeouts: {drain_s: 1}\n")
    async with started("serve", "--config", config, "--workers", "2") as command:
        port = int(await command.says(LISTENING))
        os.kill(min(await all_listen(command, port, 2)), signal.SIGSTOP)
        command.tell()
        assert await command.ended() == 1  # it was killed: its requests were cut
    assert b"workers that did not end in time, and are killed: 1" in command.err


async def test_workers_that_ended_at_the_same_signal_are_not_waited_for(tmp_path: Path) -> None:
    """A service manager tells all of them; the parent may be the last to run again."""
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--workers", "2") as command:
        workers = await all_listen(command, int(await command.says(LISTENING)), 2)
        command.tell(signal.SIGSTOP)
        for pid in (command.process.pid, *workers):
            os.kill(pid, signal.SIGTERM)
        await all_ended(workers)
        command.tell(signal.SIGCONT)
        assert await command.ended() == 0


# `anyrouter`, where a third process cannot be started at the first attempt.
UNFORKABLE = (
    "import os; fork = os.fork; count = iter(range(9));"
    "fail = lambda: os.close(1 << 30);"
    "os.fork = lambda: fail() if next(count) == 2 else fork();"
    "from proxy.__main__ import main; raise SystemExit(main())"
)


async def test_a_worker_that_cannot_be_replaced_at_once_is_replaced_later(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    args = ("serve", "--config", config, "--workers", "2")
    async with started(*args, program=("-c", UNFORKABLE)) as command:
        port = int(await command.says(LISTENING))
        os.kill(min(await all_listen(command, port, 2)), signal.SIGKILL)
        await command.says(b"no worker can be started, trying again: Bad file descriptor")
        assert await answers(port, 20) == [200] * 20
        await all_listen(command, port, 2)
        command.tell()
        assert await command.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_port_that_others_share_is_in_use(tmp_path: Path, workers: str) -> None:
    config = write_config(tmp_path, more="limits: {max_connections: 100}\n")
    async with started("serve", "--config", config, "--workers", "2") as first:
        port = await first.says(LISTENING)
        status, out, err = await ran(
            "serve", "--config", config, "--port", port, "--workers", workers
        )
    assert (status, out) == (1, "")
    assert "ddress already in use" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("workers", ["0", "257"])
async def test_too_few_or_too_many_workers_are_wrong_use(tmp_path: Path, workers: str) -> None:
    status, _, err = await ran("serve", "--config", write_config(tmp_path), "--workers", workers)
    assert (status, err) == (
        2,
        "anyrouter serve: argument --workers: must be from 1 to 256; `anyrouter serve --help` has examples\n",
    )
