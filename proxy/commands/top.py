"""`anyrouter top`: what is in flight, at which upstream and by whose key, as it changes."""

import argparse
import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.commands import admin_api, options
from proxy.commands.admin_api import Ask
from proxy.commands.parser import add_command
from proxy.config_file.faults import ConfigError

if TYPE_CHECKING:
    from proxy.commands.top_screen import Told

_MINUTES = 15
_EVERY_S = 2.0
# As many as the admin API gives at once.
_MOST_GROUPS = 1_000
# Sums by key alone are those of whole days. Causes are few: by them, all there is is counted.
QUESTIONS = (
    "live",
    "upstreams",
    f"usage?by=key,hour&order=cost&limit={_MOST_GROUPS}&since={_MINUTES}m",
    f"usage?by=cause&limit={_MOST_GROUPS}&since={_MINUTES}m",
)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "top",
        "watch what is in flight, in the terminal",
        "Asks a running gateway, by its admin API, every two seconds: what is in flight at each upstream and by each "
        f"key, and what the last {_MINUTES} minutes come to. It goes on while the gateway starts again. q ends it, s "
        "sorts the keys by another column.",
        examples=("anyrouter top", "anyrouter top --url http://127.0.0.1:9081"),
        environment=admin_api.VARIABLES,
    )
    admin_api.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until q, Ctrl-C, or the end of the input."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "top is for a terminal; for programs there are GET /admin/v1/live and usage"
        )
    with contextlib.suppress(KeyboardInterrupt), _single_keys():
        asyncio.run(_watch(args))
    return 0


async def _watch(args: argparse.Namespace) -> None:
    from rich.live import Live  # noqa: PLC0415 - only what draws imports what it takes

    from proxy.commands.top_screen import SORTS, Told, screen  # noqa: PLC0415 - as above

    ended, pressed = asyncio.Event(), asyncio.Event()
    sort_at = 0

    def press() -> None:
        nonlocal sort_at
        typed = os.read(sys.stdin.fileno(), 64)
        if b"s" in typed:
            sort_at += 1
            pressed.set()
        if not typed or b"q" in typed:
            ended.set()
            pressed.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), press)
    told = Told(minutes=_MINUTES)
    with Live(screen=True, auto_refresh=False) as live:
        async with admin_api.asking(args) as ask:
            while not ended.is_set():
                asked = asyncio.create_task(_ask(ask, told))
                # What is slow to answer keeps nobody from leaving.
                await _until(asked, ended)
                asked.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_S):
                        while not ended.is_set():
                            live.update(screen(told, SORTS[sort_at % len(SORTS)]), refresh=True)
                            pressed.clear()
                            await pressed.wait()
    loop.remove_reader(sys.stdin.fileno())


async def _ask(ask: Ask, told: "Told") -> None:
    try:
        told.take(*await asyncio.gather(*map(ask, QUESTIONS)))
    except (RuntimeError, ConfigError) as error:
        told.failed(str(error))


async def _until(task: "asyncio.Task[None]", ended: asyncio.Event) -> None:
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Have each key at once, and not line by line."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
