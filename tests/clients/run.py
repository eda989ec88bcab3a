"""The official SDKs and Claude Code against the gateway: `python -m tests.clients.run`.

Installs each client from its registry into a temporary directory, runs it against a gateway with the sandbox
behind it, and prints a line for each check. Exits 1 when one fails, or a client cannot be had.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.clients import claude_code, installs, programs, stack
from tests.clients.installs import NotInstalledError
from tests.clients.report import Report, say
from tests.clients.stack import ROOT, Stack
from tests.docs.snippets import snippets

_SCRIPT_S = 100.0
_DOCTOR_S = 30.0
_README_URL = "http://127.0.0.1:8080/api"
_DEFECTS = ("Traceback", "a defect", "Unclosed", "was never awaited", "Task was destroyed")


@dataclass(frozen=True)
class Client:
    """A client: how it is installed, and how its checks are run there."""

    name: str
    install: Callable[[Path], str]
    run: Callable[[Path, str, Stack, Report], None]


def _script(
    client: str, command: list[str | Path], stack: Stack, home: Path, report: Report
) -> None:
    """Run a script of checks in a clean environment and take in what it prints."""
    home.mkdir()
    environment = {**_clean(home), **stack.environment()}
    ended = programs.run(command, timeout_s=_SCRIPT_S, env=environment, cwd=ROOT)
    lines = [report.script_line(client, line) for line in ended.stdout.splitlines()]
    if ended.status != 0 or not any(lines):
        report.fail(client, "run to the end", ended.why())


def _run_snippet(
    client: str, language: str, command: list[str | Path], stack: Stack, report: Report
) -> None:
    """Run what the README shows for this client, but for the address."""
    (code,) = [each for each in snippets("README.md", language) if "messages.create" in each]
    place = Path(command[-1])
    place.write_text(code.replace(_README_URL, stack.url))
    environment = {**_clean(place.parent / "home"), "ANYROUTER_KEY": stack.key}
    ended = programs.run(command, timeout_s=_SCRIPT_S, env=environment, cwd=place.parent)
    good = ended.status == 0 and "You said: say hi" in ended.stdout
    report.check(client, f"the README's {language} snippet", "" if good else ended.why())


def _clean(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _run_python(place: Path, client: str, stack: Stack, report: Report) -> None:
    command: list[str | Path] = [place / "bin/python", "-m", "tests.clients.python_sdk"]
    _script(client, command, stack, place / "home", report)
    shown: list[str | Path] = [place / "bin/python", place / "readme.py"]
    _run_snippet(client, "python", shown, stack, report)


def _run_typescript(place: Path, client: str, stack: Stack, report: Report) -> None:
    # Beside its node_modules, so that it imports the SDK the way everybody does.
    for source in (ROOT / "tests/clients").glob("*.mjs"):
        shutil.copy(source, place)
    _script(client, ["node", place / "typescript_sdk.mjs"], stack, place / "home", report)
    _run_snippet(client, "js", ["node", place / "readme.mjs"], stack, report)


def _run_claude_code(place: Path, client: str, stack: Stack, report: Report) -> None:
    claude_code.run(installs.claude_binary(place), client, stack, place / "runs", report)


CLIENTS = (
    Client("python", installs.python_sdk(installs.NEW_PYTHON_SDK), _run_python),
    Client("python", installs.python_sdk(installs.OLD_PYTHON_SDK), _run_python),
    Client("typescript", installs.npm_package(installs.TYPESCRIPT_SDK), _run_typescript),
    Client("claude-code", installs.npm_package(installs.CLAUDE_CODE), _run_claude_code),
)


def main() -> int:
    """Do it all, leave nothing behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = Report()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(
            prefix="anyrouter-clients-", ignore_cleanup_errors=True
        ) as temporary,
        ThreadPoolExecutor(len(CLIENTS)) as pool,
    ):
        scratch = Path(temporary)
        try:
            places = [scratch / f"{number}-{client.name}" for number, client in enumerate(CLIENTS)]
            installed = [
                pool.submit(client.install, place)
                for client, place in zip(CLIENTS, places, strict=True)
            ]
            _check(scratch, places, installed, report, started)
        finally:
            programs.kill_all()
    return report.close()


def _check(
    scratch: Path, places: list[Path], installed: list[Future[str]], report: Report, started: float
) -> None:
    home = scratch / "home"
    home.mkdir()
    with stack.running(scratch, _clean(home)) as (gateway, end):
        # One after the other, and only when nothing is being installed any more: some checks measure time.
        versions = [future.exception() or future.result() for future in installed]
        say(f"installed in {time.monotonic() - started:.0f} s")
        for client, place, version in zip(CLIENTS, places, versions, strict=True):
            if isinstance(version, BaseException):
                report.fail(client.name, "install", _reason(version))
                continue
            try:
                client.run(place, f"{client.name} {version}", gateway, report)
            except NotInstalledError as error:
                report.fail(client.name, "install", str(error))
        _examine(gateway, end, home, report)
    say(f"took {time.monotonic() - started:.0f} s")


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, NotInstalledError) else repr(error)


def _examine(gateway: Stack, end: Callable[[], str], home: Path, report: Report) -> None:
    """Look at the gateway after all that."""
    asked: list[str | Path] = [stack.ANYROUTER, "doctor", "--url", gateway.url]
    environment = {**_clean(home), "ANYROUTER_KEY": gateway.key}
    ended = programs.run(asked, timeout_s=_DOCTOR_S, env=environment, cwd=home)
    report.check("gateway", "`anyrouter doctor` finds it good", ended.why() if ended.status else "")
    report.check("gateway", "it ends when told to", end())
    logs = gateway.log.read_text() + gateway.complaints.read_text()
    leaked = [secret.rpartition("-")[0] for secret in gateway.secrets if secret in logs]
    report.check("gateway", "no key is in its logs", ", ".join(leaked))
    defects = [line for line in gateway.complaints.read_text().splitlines() if _is_defect(line)]
    report.check("gateway", "it met no defect of its own", " / ".join(defects[:3]))


def _is_defect(line: str) -> bool:
    return any(sign in line for sign in _DEFECTS)


if __name__ == "__main__":
    sys.exit(main())
