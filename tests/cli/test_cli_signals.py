"""The signals of everyday life: a closed terminal drains, any other SIGHUP, and SIGUSR1 and 2, cut nothing."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.listening import LISTENING
from tests.cli.one_stream import Held, one_stream
from tests.support.commands import Command, attended, environment, started, write_config
from tests.support.raw import raw_upstream


class Terminal:
    """A terminal whose foreground process is a command."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.openpty()

    def take(self) -> None:
        """Make it the controlling terminal of a new session, which is the caller's."""
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def close(self) -> None:
        for fd in (self.ours, self.theirs):
            with contextlib.suppress(OSError):
                os.close(fd)


@contextlib.asynccontextmanager
async def in_a_terminal(
    terminal: Terminal, *args: str | Path, before: tuple[str, ...] = ()
) -> AsyncIterator[Command]:
    """Run `anyrouter` in a terminal; its output comes through pipes."""
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "proxy", *args),
        env=environment(),
        stdin=terminal.theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=terminal.take,
    )
    async with attended(process) as command:
        yield command


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_closed_terminal_lets_the_running_stream_finish(
    tmp_path: Path, workers: str
) -> None:
    terminal = Terminal()
    async with raw_upstream(script := Held()) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with in_a_terminal(
            terminal, "serve", "--config", config, "--workers", workers
        ) as command:
            async with one_stream(command) as client:
                terminal.close()
                await command.says(b"draining: 1")
                script.go_on.set()
                assert b"message_stop" in await client.until(b"0\r\n\r\n")
            assert await command.ended() == 0
    assert b"the terminal has gone" in command.err


async def test_with_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    terminal = Terminal()
    async with in_a_terminal(
        terminal, "serve", "--config", write_config(tmp_path), before=("nohup",)
    ) as command:
        await command.says(LISTENING)
        terminal.close()
        await command.says(b"nothing has changed")
        command.tell()
        assert await command.ended() == 0
    assert b"the terminal has gone" not in command.err


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "no terminal"])
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("to", ["the process", "the group"])
async def test_signals_that_ask_for_no_end_cut_no_stream(
    tmp_path: Path, workers: str, to: str, *, terminal: bool
) -> None:
    pty = Terminal()
    async with raw_upstream(script := Held()) as upstream:
        config = write_config(tmp_path, upstream.url)
        args = ("serve", "--config", config, "--workers", workers)
        async with in_a_terminal(pty, *args) if terminal else started(*args) as command:
            async with one_stream(command) as client:
                for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
                    (command.tell if to == "the process" else command.tell_group)(number)
                await command.says(b"nothing has changed")
                script.go_on.set()
                assert b"message_stop" in await client.until(b"0\r\n\r\n")
            command.tell()
            assert await command.ended() == 0
    pty.close()
