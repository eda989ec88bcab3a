"""A Redis server of the tests' own, on a socket in a temporary folder."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

_START_S = 20


def find_server() -> str | None:
    """Return the command of a server on this machine; None when there is none."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A server that keeps nothing on disk.

    Attributes:
        url: for redis-py.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._folder / 'redis.sock'}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(self._command, "--port", "0", "--unixsocket", str(self._folder / "redis.sock")),
                *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                *("--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
        )
        ends = time.monotonic() + _START_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return
            except redis.ConnectionError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.01)  # another process

    def client(self) -> redis.Redis:
        """Return a plain client."""
        return redis.Redis.from_url(self.url)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Let it go on, or start it when it has ended."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        else:
            self.thaw()

    def kill(self) -> None:
        """End it at once, with all it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
