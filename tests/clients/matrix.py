"""How each client of the table is installed, and how its checks are run there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients import browser, claude_code, installs, python_suite, scripts, table
from tests.clients.report import Report
from tests.clients.stack import Stack
from tests.clients.table import Client

Run = Callable[[Client, Path, Stack, Report], None]


@dataclass(frozen=True)
class Entry:
    """A client, its installation into a directory, and its checks there."""

    client: Client
    install: installs.Install
    run: Run


def _command(*command: str) -> Run:
    """Return the run of a script; `{place}` in its command is where the client is installed."""

    def run(client: Client, place: Path, stack: Stack, report: Report) -> None:
        words: scripts.Command = [word.format(place=place) for word in command]
        scripts.run(client, words, place, stack, report)

    return run


def _python(module: str) -> Run:
    return _command("{place}/bin/python", "-m", f"tests.clients.python.{module}")


def _python_sdk(client: Client, place: Path, stack: Stack, report: Report) -> None:
    _python("sdk")(client, place, stack, report)
    shown: scripts.Command = [place / "bin/python", place / "readme.py"]
    scripts.run_snippet(client, "python", shown, stack, report)


def _newest_python_sdk(client: Client, place: Path, stack: Stack, report: Report) -> None:
    _python_sdk(client, place, stack, report)
    python_suite.run(client, place, stack, report)


def _typescript_sdk(client: Client, place: Path, stack: Stack, report: Report) -> None:
    _command("node", "{place}/sdk.mjs")(client, place, stack, report)
    scripts.run_snippet(client, "js", ["node", place / "readme.mjs"], stack, report)


def _claude_code(client: Client, place: Path, stack: Stack, report: Report) -> None:
    binary = installs.claude_binary(place)
    # The older one cannot: it sends ids of sessions and agents alone.
    is_hinting = client is table.CLAUDE_CODE
    claude_code.run(binary, client.title, stack, place / "runs", report, is_hinting=is_hinting)


# In this order they are installed, those that take long first; the checks follow the table.
MATRIX = (
    Entry(table.RUST, installs.rust, _command("{place}/target/debug/checks")),
    Entry(table.GO, installs.go, _command("{place}/checks")),
    Entry(
        table.JAVA, installs.java, _command("java", "-cp", "{place}/lib/*", "{place}/Checks.java")
    ),
    Entry(table.PYTHON, python_suite.install, _newest_python_sdk),
    Entry(table.PYTHON_0, installs.python(table.PYTHON_0), _python_sdk),
    Entry(table.LITELLM, installs.python(table.LITELLM), _python("litellm")),
    Entry(table.AGENT_SDK, installs.python(table.AGENT_SDK), _python("agent_sdk")),
    Entry(table.LANGCHAIN, installs.python(table.LANGCHAIN), _python("langchain")),
    Entry(table.TYPESCRIPT, installs.npm(table.TYPESCRIPT), _typescript_sdk),
    Entry(table.BROWSER, browser.install, browser.run),
    Entry(table.AI_SDK, installs.ai_sdk, _command("node", "{place}/ai_sdk.mjs")),
    Entry(table.CLAUDE_CODE, installs.npm(table.CLAUDE_CODE), _claude_code),
    Entry(table.CLAUDE_CODE_OLDER, installs.npm(table.CLAUDE_CODE_OLDER), _claude_code),
)
