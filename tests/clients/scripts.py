"""Scripts of checks, run inside a client's own runtime, in a clean environment."""

import os
from pathlib import Path

from tests.clients import programs
from tests.clients.report import Report
from tests.clients.stack import ROOT, Stack
from tests.clients.table import Client
from tests.docs.snippets import snippets

_SCRIPT_S = 120.0
_README_URL = "http://127.0.0.1:8080/api"

Command = list[str | Path]


def clean(home: Path) -> dict[str, str]:
    """Return an environment that holds nothing of this machine's but the way to its programs."""
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(client: Client, command: Command, place: Path, stack: Stack, report: Report) -> None:
    """Run a script with each of the base URLs, and take in what it prints."""
    for url in client.base_urls:
        title = client.title if len(client.base_urls) == 1 else f"{client.title} at {url}"
        environment = {
            **clean(place / "home"),
            **stack.environment(),
            "GATEWAY_URL": url.format(base=stack.url),
        }
        ended = programs.run(command, timeout_s=_SCRIPT_S, env=environment, cwd=ROOT)
        lines = [report.script_line(title, line) for line in ended.stdout.splitlines()]
        if ended.status != 0 or not any(lines):
            report.fail(title, "run to the end", ended.why())


def run_snippet(
    client: Client, language: str, command: Command, stack: Stack, report: Report
) -> None:
    """Run what the README shows for this client, but for the address."""
    (code,) = [each for each in snippets("README.md", language) if "messages.create" in each]
    script = Path(command[-1])
    script.write_text(code.replace(_README_URL, stack.url))
    environment = {**clean(script.parent / "home"), "ANYROUTER_KEY": stack.key}
    ended = programs.run(command, timeout_s=_SCRIPT_S, env=environment, cwd=script.parent)
    good = ended.status == 0 and "You said: say hi" in ended.stdout
    report.check(client.title, f"the README's {language} snippet", "" if good else ended.why())
