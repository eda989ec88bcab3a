"""Help: examples that work, variables and exit statuses; narrow enough, coloured on a terminal only."""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios

import pytest

from proxy.__main__ import main
from proxy.commands import claude
from tests.support.commands import ROOT, environment

ACTIONS = ("new", "list", "show", "update", "rotate", "disable", "enable", "delete")
COMMANDS = (
    *(
        "demo",
        "init",
        "serve",
        "check",
        "reload",
        "keys",
        "owners",
        "limits",
        "upstreams",
        "usage",
        "statusline",
        "store",
        "doctor",
        "claude",
        "sandbox",
    ),
    *(f"keys {action}" for action in ACTIONS),
    *("owners set", "owners list", "owners delete", "limits show", "store migrate"),
)


def helped(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return a command's help, as written for 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def section(text: str, title: str) -> list[str]:
    """Return the lines of a help text below a title."""
    _, found, rest = text.partition(f"\n{title}:\n")
    assert found, f"no {title}"
    return [line.strip() for line in rest.partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns_and_has_no_colours_where_nobody_sees_them(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = helped(command, capsys, monkeypatch)
    assert text.startswith(f"Usage: anyrouter {command}".rstrip())
    assert max(map(len, text.splitlines())) <= 80
    assert text.isprintable() is False
    assert "\x1b" not in text
    assert text.isascii()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_two_examples_that_it_understands_and_its_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = helped(command, capsys, monkeypatch)
    examples = section(text, "Examples")
    assert len(examples) >= 2
    told: list[list[str]] = []
    monkeypatch.setattr(
        "proxy.commands.parser.Parser.error", lambda _, message: told.append(message)
    )
    for example in examples:
        line = re.sub(r"^export \w+=\$\((.*)\)$", r"\1", example)
        words = shlex.split(line.partition(" <")[0])
        assert words[: 1 + len(command.split())] == ["anyrouter", *command.split()]
        arguments = claude.separate_arguments(words[1:])
        with pytest.raises(SystemExit):
            main([arguments[0], *arguments[1:], "--help"] if "--" not in arguments else ["--help"])
    assert not told
    assert [line[0] for line in section(text, "Exit status") if line[:1].isdigit()] == list("012")


@pytest.mark.parametrize("command", ["serve", "doctor", "claude", "check", "limits show"])
def test_the_variables_that_a_command_reads_are_named(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert section(helped(command, capsys, monkeypatch), "Environment")


def test_help_has_colours_on_a_terminal_unless_they_are_not_wanted() -> None:
    def on_a_terminal(**more: str) -> bytes:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        subprocess.run(
            [sys.executable, "-m", "proxy", "serve", "--help"],
            env=environment(TERM="xterm-256color", **more),
            stdin=theirs,
            stdout=theirs,
            cwd=ROOT,
            check=True,
            timeout=60,
        )
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 1 << 16):
                said += part
        except OSError:
            pass  # how a terminal ends
        os.close(ours)
        return said

    assert b"\x1b[" in on_a_terminal()
    assert b"\x1b[" not in on_a_terminal(NO_COLOR="1").replace(b"\x1b[1m", b"").replace(
        b"\x1b[0m", b""
    )


def test_what_serves_never_imports_what_draws_helps_and_tables() -> None:
    code = (
        "import sys\nfrom proxy.__main__ import main\n"
        "assert main(['serve', '--config', '/nonexistent']) == 2\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(bool(names & {'rich', 'rich_argparse', 'pygments', 'sqlalchemy'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
