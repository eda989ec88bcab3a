"""The command line's parser: wrong use in one line, help with examples, variables and exit statuses."""

import argparse
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from proxy.commands import options
from proxy.config_file.faults import suggest

DONE, FAILED, WRONG_USE = 0, 1, 2


_EXIT_STATUS = {
    str(DONE): "done",
    str(FAILED): "failed; stderr says why",
    str(WRONG_USE): "wrong use, or a configuration that is not good",
}
_MAX_WIDTH = 100
# As argparse words it; since Python 3.12 what there is stands without quotes.
_WRONG_CHOICE = re.compile(r"(.*: invalid choice: '([^']*)' \(choose from (.*)\))")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does; argparse would print the usage before it."""

    def __init__(self, *args: Any, notes: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.color = False  # Python 3.14's own, of usages too, out of which options are read; helps have rich's
        self._notes = dict(notes or {})
        self._commands: options.Subparsers[Any] | None = None

    def add_subparsers(self, **more: Any) -> Any:
        """Note that the options are the commands', and which there are."""
        self._commands = super().add_subparsers(**more)
        return self._commands

    def parse_known_args(self, *args: Any, **more: Any) -> Any:
        """Refuse what is no argument of a command, where its options are known: the parser of all knows none."""
        namespace, unknown = super().parse_known_args(*args, **more)
        if unknown and self._commands is None:
            known = [*re.findall(r"(?<=\[)-[^] ]+|(?<= )--[a-z-]+", self.format_usage()), "--help"]
            near = suggest(unknown[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """End with the exit status of wrong use."""
        said = " ".join(message.split())
        if wrong := _WRONG_CHOICE.fullmatch(said):
            said = f"{wrong[1]}{suggest(wrong[2], wrong[3].replace(chr(39), '').split(', '))}"
        elif self._commands is not None and said.endswith("are required: ACTION"):
            said = f"which action? {', '.join(self._commands.choices)}"
        end = "" if said.endswith("?") else ";"
        self.exit(WRONG_USE, f"{self.prog}: {said}{end} `{self.prog} --help` has examples\n")

    def format_help(self) -> str:
        """Write the help, in colours where a terminal reads it."""
        # It takes as long as everything else that is imported, and is not for what serves.
        from proxy.commands.help_formatter import HelpFormatter  # noqa: PLC0415 - imported by who needs it alone

        self.formatter_class = HelpFormatter
        # Behind all arguments, which by now are known.
        for title, text in self._notes.items():
            self.add_argument_group(title, text)
        self._notes = {}
        return super().format_help()


def add_command(
    subparsers: "options.Subparsers[argparse.ArgumentParser]",
    name: str,
    does: str,
    about: str,
    *,
    examples: Sequence[str],
    environment: Mapping[str, str] | None = None,
    exit_status: Mapping[str, str] | None = None,
) -> argparse.ArgumentParser:
    """Add the parser of one command.

    Args:
        subparsers: of all commands.
        name: the command's.
        does: what it does, in a few words for the list of all.
        about: the same in sentences, for its own help.
        examples: whole command lines.
        environment: variables it reads, with their meaning.
        exit_status: those that are not as everywhere.
    """
    notes = {"examples": "\n".join(examples)}
    if environment:
        notes["environment"] = _rows(environment)
    notes["exit status"] = _rows({**_EXIT_STATUS, **(exit_status or {})})
    return subparsers.add_parser(name, help=does, description=wrap(about), notes=notes)


def wrap(text: str) -> str:
    """Break a text into lines of the terminal's width."""
    return textwrap.fill(text, min(shutil.get_terminal_size().columns, _MAX_WIDTH) - 2)


def _rows(texts: Mapping[str, str]) -> str:
    width = max(map(len, texts)) + 2
    room = min(shutil.get_terminal_size().columns, _MAX_WIDTH) - 4 - width
    rows = [
        (name if at == 0 else "", line)
        for name, text in texts.items()
        for at, line in enumerate(textwrap.wrap(text, max(room, 20)))
    ]
    return "\n".join(f"{name:<{width}}{line}" for name, line in rows)
