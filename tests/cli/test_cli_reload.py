"""SIGHUP: a changed configuration counts without a restart, in one process and in several."""

import asyncio
import os
import re
import signal
from pathlib import Path

import aiohttp

from tests.cli.test_cli_workers import LISTENING, all_listen
from tests.support.commands import (
    Command,
    environment,
    ran,
    readable,
    started,
    status_of,
    write_config,
)

OTHER = "ar-another-key-0123456789"
MODELS = "/v1/models"


async def statuses(port: int, key: str, times: int = 1) -> set[int | None]:
    """Ask on connections of their own, so that every worker is asked."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        url = f"http://127.0.0.1:{port}{MODELS}"
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return {await status_of(session, url, **headers) for _ in range(times)}


def give_keys(config: Path, *keys: str) -> None:
    """Write a configuration with these keys in place of its own."""
    entries = ", ".join(f"{{name: k{i}, key: {key}}}" for i, key in enumerate(keys))
    text = re.sub(r"keys: \[.*\]", f"keys: [{entries}]", config.read_text())
    config.write_text(text)


async def test_sighup_makes_keys_of_the_file_count_and_a_wrong_file_changes_nothing(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, more="reload: {watch: false}\n")
    async with started("serve", "--config", config) as command:
        port = int(await command.says(LISTENING))
        assert await statuses(port, OTHER) == {401}
        give_keys(config, OTHER)
        command.tell(signal.SIGHUP)
        assert await command.says(b"is served: ") == "keys +1 -1"
        assert await statuses(port, OTHER) == {200}
        pid = str(command.process.pid)
        status, out, _ = await ran("reload", "--config", config, "--pid", pid)
        assert status == 0
        assert f"process {pid} reads it" in out
        await command.says(b"nothing has changed")
        other = tmp_path / "other"
        other.mkdir()
        status, _, err = await ran("reload", "--config", write_config(other), "--pid", pid)
        assert (status, f"process {pid} reads {config}" in err) == (2, True)
        status, _, err = await ran("reload", "--config", config, "--pid", str(os.getpid()))
        assert (status, "is no `anyrouter serve`, and nothing is sent" in err) == (1, True)
        give_keys(config, "short")
        assert (await ran("reload", "--config", config, "--pid", pid))[0] == 2
        command.tell(signal.SIGHUP)
        await command.says(b"was not taken over")
        assert "config.yaml:5: keys.0.key: must be" in command.err.decode()
        assert await statuses(port, OTHER) == {200}
        assert OTHER not in command.text


async def test_workers_serve_the_last_of_two_quick_edits_and_so_does_one_that_is_started_later(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, more="reload: {watch: false}\n")
    async with started("serve", "--config", config, "--workers", "2") as command:
        port = int(await command.says(LISTENING))
        workers = await all_listen(command, port, 2)
        for key in ("ar-not-this-one-0123456789", OTHER):
            give_keys(config, key)
            command.tell(signal.SIGHUP)
        await command.says(b"is served: keys")
        await served_alike(command, workers)
        assert await statuses(port, OTHER, 10) == {200}
        killed = min(workers)
        status, _, err = await ran("reload", "--config", config, "--pid", str(killed))
        assert (status, f"use --pid {command.process.pid}" in err) == (1, True)
        os.kill(killed, signal.SIGKILL)
        await command.says(b"worker %d ended" % killed)
        await all_listen(command, port, 2)
        # By what the parent has read, not by what stands in the file now.
        give_keys(config, "ar-not-this-one-0123456789")
        assert await statuses(port, OTHER, 10) == {200}


async def served_alike(command: Command, workers: set[int]) -> None:
    """Wait until every worker has said that it serves what the parent has read last."""
    async with asyncio.timeout(10):
        while True:
            said = readable(bytes(command.err)).decode()
            read = re.findall(r"configuration (\w+) is served", said)
            served = dict(re.findall(r"process (\d+) serves configuration (\w+)", said))
            if read and served == {str(pid): read[-1] for pid in workers}:
                return
            await asyncio.sleep(0.02)  # other processes: there is no event to wait for


async def test_a_file_is_checked_by_the_environment_of_the_process_that_is_to_read_it(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, more="reload: {watch: false}\n")
    config.write_text(config.read_text() + "log: {level: '${LEVEL_OF_THE_SERVICE}'}\n")
    env = environment(LEVEL_OF_THE_SERVICE="info")
    async with started("serve", "--config", config, env=env) as command:
        await command.says(LISTENING)
        pid = str(command.process.pid)
        assert (await ran("reload", "--pid", pid, "--config", config))[0] == 0
        await command.says(b"nothing has changed")
        status, _, err = await ran("check", "--config", config)
        assert (status, "`anyrouter reload --pid PID` checks the file" in err) == (2, True)
        config.write_text(config.read_text() + "early_head: ${NOT_OF_THE_SERVICE}\n")
        env = environment(NOT_OF_THE_SERVICE="true")
        status, _, err = await ran("reload", "--pid", pid, "--config", config, env=env)
        assert (status, f"variables of process {pid}" in err) == (2, True)
        command.tell(signal.SIGHUP)
        said = await command.says(b"was not taken over")
        assert "a running process keeps the environment" in said
