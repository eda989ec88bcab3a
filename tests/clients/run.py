"""The clients of the table against the gateway: `python -m tests.clients.run [NAME...]`.

Installs each client from its registry into a temporary directory, runs it against a gateway with the sandbox
behind it, and prints a line for each check. Exits 1 when one fails, or a client cannot be had. With names, only the
clients whose names begin so.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.clients import installs, programs, scripts, stack, table
from tests.clients.matrix import MATRIX, Entry
from tests.clients.report import Report, say
from tests.clients.stack import Stack

# At once: enough to keep two cores busy while others wait for their registry.
_INSTALLATIONS = 4
_DOCTOR_S = 30.0
_DEFECTS = ("Traceback", "a defect", "Unclosed", "was never awaited", "Task was destroyed")


def main(names: list[str]) -> int:
    """Do it all, leave nothing behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = Report()
    with (
        tempfile.TemporaryDirectory(
            prefix="anyrouter-clients-", ignore_cleanup_errors=True
        ) as temporary,
        ThreadPoolExecutor(_INSTALLATIONS) as pool,
    ):
        places = {entry.client: Path(temporary, str(at)) for at, entry in enumerate(MATRIX)}
        try:
            installed = {
                entry: pool.submit(entry.install, places[entry.client])
                for entry in MATRIX
                if not names or entry.client.name.startswith(tuple(names))
            }
            _check(Path(temporary), places, installed, report)
        finally:
            programs.kill_all()
    return report.close()


def _check(
    scratch: Path,
    places: dict[table.Client, Path],
    installed: dict[Entry, Future[None]],
    report: Report,
) -> None:
    started = time.monotonic()
    environment = scripts.clean(scratch / "home")
    with stack.running(scratch, environment) as (gateway, end):
        # One after the other, and only when nothing is being installed any more: some checks measure time.
        errors = {entry: future.exception() for entry, future in installed.items()}
        say(f"installed in {time.monotonic() - started:.0f} s")
        for entry, error in sorted(errors.items(), key=lambda each: _row(each[0])):
            title = entry.client.title
            if error is not None:
                report.fail(title, "install", str(error) if _is_told(error) else repr(error))
                continue
            began = time.monotonic()
            try:
                entry.run(entry.client, places[entry.client], gateway, report)
            except installs.NotInstalledError as late:
                report.fail(title, "install", str(late))
            missing = entry.client.not_checked(report.checks(title))
            report.check(title, "all that docs/clients.md tells was tried", ", ".join(missing))
            say(f"{title} took {time.monotonic() - began:.0f} s")
        _examine(gateway, end, environment, scratch, report)
    say(f"took {time.monotonic() - started:.0f} s")


def _row(entry: Entry) -> int:
    return table.CLIENTS.index(entry.client)


def _is_told(error: BaseException) -> bool:
    return isinstance(error, installs.NotInstalledError)


def _examine(
    gateway: Stack, end: Callable[[], str], clean: dict[str, str], cwd: Path, report: Report
) -> None:
    """Look at the gateway after all that."""
    asked: list[str | Path] = [stack.ANYROUTER, "doctor", "--url", gateway.url]
    environment = {**clean, "ANYROUTER_KEY": gateway.key}
    ended = programs.run(asked, timeout_s=_DOCTOR_S, env=environment, cwd=cwd)
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
    sys.exit(main(sys.argv[1:]))
