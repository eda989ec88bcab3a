"""A real PostgreSQL server in a temporary folder, on a Unix socket, without a network."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_INSTALLED = "/usr/lib/postgresql"
_WITHIN_S = 60
# What is tested is what is stored when; a power loss is not among it.
_FAST = ("fsync=off", "full_page_writes=off", "listen_addresses=", "shared_buffers=16MB")


def find_binaries() -> Path | None:
    """Return the folder of the newest server's programs; None: there is none on this machine."""
    beside = shutil.which("initdb")
    candidates = [*Path(_INSTALLED).glob("*/bin/initdb"), *([Path(beside)] if beside else [])]
    found = sorted(
        candidates, key=lambda path: float(path.parts[-3]) if path.parts[-3].isdigit() else 0
    )
    return found[-1].parent if found else None


class Postgres:
    """A server that can be stopped, frozen and started again, with as many databases as one asks for."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._as: dict[str, Any] = {"umask": 0o077}
        # Short, whatever pytest's own folder is called: the path of a Unix socket has 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.getuid() == 0:  # as whom the server refuses to run
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        initdb = (
            "initdb",
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "anyrouter",
            "-E",
            "UTF8",
            "-D",
            "data",
        )
        self._run(*initdb, "--locale=C.UTF-8")
        self._server: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [word for option in _FAST for word in ("-c", option)]
        command = [
            str(self._binaries / "postgres"),
            "-D",
            "data",
            "-k",
            str(self._folder),
            *options,
        ]
        log = (self._folder / "log").open("ab")
        with log:
            self._server = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, env=self._environment, **self._as
            )
        ends = time.monotonic() + _WITHIN_S
        ready = ("pg_isready", "-q", "-h", str(self._folder), "-U", "anyrouter")
        while self._run(*ready, check=False):
            assert self._server.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < ends
            time.sleep(0.05)  # another process

    def stop(self) -> None:
        """Stop it at once: its clients are cut off."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_WITHIN_S)
            self._server = None

    def database(self) -> str:
        """Make an empty database, and return its URL."""
        self._databases += 1
        name = f"d{self._databases}"
        self._run("createdb", "-h", str(self._folder), "-U", "anyrouter", name)
        return f"postgresql://anyrouter@/{name}?host={self._folder}"

    def remove(self) -> None:
        """Stop it, and remove what it stored."""
        self.stop()
        shutil.rmtree(self._folder)

    @property
    def runs(self) -> bool:
        """Whether it is started."""
        return self._server is not None

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self._folder)}

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            timeout=_WITHIN_S,
            check=False,
            **self._as,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.returncode
