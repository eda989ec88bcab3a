"""`anyrouter top`: what is in flight, at which upstream and by whose key, as it changes."""

import argparse
import asyncio
import contextlib
import os
import shutil
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
    from rich.console import RenderableType

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
    f"limits?limit={_MOST_GROUPS}",
)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "top",
        "watch what is in flight, in the terminal",
        "Asks a running gateway, by its admin API, every two seconds: what is in flight at each upstream and by each "
        f"key, and what the last {_MINUTES} minutes come to. Without a `store` it shows what is in flight "
        "alone. It goes on while the gateway starts again. q ends it, s sorts the keys by another column, k shows one "
        "key after the other alone, with its requests.",
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


class _Screen:
    """What is shown, how, and which keys are pressed.

    Attributes:
        told: what is known.
        pressed: set by a key that changes what is shown. `ended`: by one that ends it.
    """

    def __init__(self) -> None:
        # Only what draws imports what it takes.
        from proxy.commands import top_keys, top_screen  # noqa: PLC0415

        self._draw, self._sorts = top_screen.screen, top_keys.SORTS
        self.told = top_screen.Told(minutes=_MINUTES)
        self.pressed, self.ended = asyncio.Event(), asyncio.Event()
        self._sort_at = 0
        self._key: str | None = None

    @property
    def _sort(self) -> str:
        return self._sorts[self._sort_at % len(self._sorts)]

    def drawn(self) -> "RenderableType":
        """Return what is to be drawn."""
        width = shutil.get_terminal_size().columns
        return self._draw(self.told, self._sort, self._key, width)

    def press(self) -> None:
        """Read what was typed."""
        typed = os.read(sys.stdin.fileno(), 64)
        if not typed or b"q" in typed:
            self.ended.set()
        if b"s" in typed:
            self._sort_at += 1
        if b"k" in typed:
            names = [None, *(each.name for each in self.told.keys(self._sort)), None]
            # One that is there no more is followed by all.
            self._key = names[names.index(self._key) + 1] if self._key in names else None
        self.pressed.set()


async def _watch(args: argparse.Namespace) -> None:
    from rich.live import Live  # noqa: PLC0415 - only what draws imports what it takes

    screen = _Screen()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), screen.press)
    with Live(screen=True, auto_refresh=False) as live:
        async with admin_api.asking(args) as ask, asyncio.TaskGroup() as group:
            asking = group.create_task(_keep_asking(ask, screen))
            # What is slow to answer keeps nobody from leaving, or from pressing another key.
            while not screen.ended.is_set():
                live.update(screen.drawn(), refresh=True)
                screen.pressed.clear()
                await screen.pressed.wait()
            asking.cancel()
    loop.remove_reader(sys.stdin.fileno())


async def _keep_asking(ask: Ask, screen: _Screen) -> None:
    while True:
        told = await asyncio.gather(*map(ask, QUESTIONS), return_exceptions=True)
        # Without a store nobody tells of usage or limits; what is told of the rest is shown.
        answers = [None if isinstance(each, BaseException) else each for each in told]
        troubles = [each for each in told if isinstance(each, BaseException)]
        for each in troubles:
            if not isinstance(each, RuntimeError | ConfigError):
                raise each
        screen.told.take(answers, str(troubles[0]) if troubles else "")
        screen.pressed.set()
        await asyncio.sleep(_EVERY_S)


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
