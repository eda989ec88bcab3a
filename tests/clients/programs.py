"""Other programs, run in bounded time, with all they started gone afterwards."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_live: set[subprocess.Popen[bytes]] = set()
_guard = threading.Lock()
_over = threading.Event()


@dataclass(frozen=True)
class Ended:
    """How a program ended. `status` None: it took too long and was killed."""

    status: int | None
    stdout: str
    stderr: str
    seconds: float

    def why(self) -> str:
        """Say what went wrong, with the end of what it printed."""
        reason = "took too long" if self.status is None else f"exit status {self.status}"
        return f"{reason} after {self.seconds:.1f} s: {(self.stdout + self.stderr)[-600:]}"


def run(
    command: Sequence[str | Path], *, timeout_s: float, env: Mapping[str, str], cwd: Path
) -> Ended:
    """Run a program to its end, without input."""
    started = time.monotonic()
    with _started(command, env, cwd, subprocess.PIPE, subprocess.PIPE) as process:
        status: int | None
        try:
            out, err = process.communicate(timeout=timeout_s)
            status = process.returncode
        except subprocess.TimeoutExpired:
            _kill(process)
            out, err = process.communicate()
            status = None
    seconds = time.monotonic() - started
    return Ended(status, out.decode(errors="replace"), err.decode(errors="replace"), seconds)


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, out: Path, err: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a program running for as long as the block takes; its output goes into files."""
    with (
        out.open("wb") as stdout,
        err.open("wb") as stderr,
        _started(command, env, cwd, stdout, stderr) as process,
    ):
        yield process


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """End a program the polite way; None when it had to be killed."""
    process.terminate()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None


def kill_all() -> None:
    """End everything that runs, and whatever is started from now on, so that nobody waits for it."""
    _over.set()
    with _guard:
        for process in _live:
            _kill(process)


@contextlib.contextmanager
def _started(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    cwd: Path,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    with _guard:
        _live.add(process)
        if _over.is_set():
            _kill(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            _kill(process)
            process.wait()
        with _guard:
            _live.discard(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Not yet waited for, so its number, which is its group's, cannot be anybody else's.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
