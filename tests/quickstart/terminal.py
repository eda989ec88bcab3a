"""A fresh bash in a terminal of its own, into which lines are typed."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path

_TYPED = re.compile(rb"typed:(\d+)\r?\n")


class Terminal:
    """An interactive shell without any start-up file.

    Args:
        folder: where it starts.
        environ: its whole environment.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve("/bin/bash", ["bash", "--noprofile", "--norc", "-i"], dict(environ))
        self.said = b""

    def type(self, line: str, within_s: float = 60.0) -> tuple[int, str]:
        """Type a line and wait for its end; return its exit status and what it has said."""
        start = len(self.said)
        self._write(f"{line}\nprintf 'typed:%s\\n' $?\n")
        found = self._wait(_TYPED, start, within_s)
        return int(found[1]), self.said[start : found.start()].decode().replace("\r\n", "\n")

    def start(self, line: str, until: str, within_s: float = 60.0) -> str:
        """Type a line that runs on, and wait until it has said something; return that line's rest."""
        start = len(self.said)
        self._write(f"{line}\n")
        mark = re.compile(re.escape(until.encode()) + rb"([^\r\n]*)\r?\n")
        return self._wait(mark, start, within_s)[1].decode()

    def interrupt(self, within_s: float = 30.0) -> str:
        """Press Ctrl-C, and wait for the prompt; return what was said."""
        start = len(self.said)
        self._write("\x03")
        time.sleep(0.2)  # what is typed in the same moment may be thrown away with the line
        self._write("printf 'typed:%s\\n' $?\n")
        found = self._wait(_TYPED, start, within_s)
        return self.said[start : found.start()].decode()

    def close(self) -> None:
        """End the shell and what runs in it."""
        for number in (signal.SIGHUP, signal.SIGKILL):
            try:
                os.killpg(self._pid, number)
            except ProcessLookupError:
                break
            time.sleep(0.2)  # other processes
        os.close(self._fd)
        os.waitpid(self._pid, 0)

    def _write(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def _wait(self, pattern: "re.Pattern[bytes]", start: int, within_s: float) -> "re.Match[bytes]":
        ends = time.monotonic() + within_s
        while (found := pattern.search(self.said, start)) is None:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                raise TimeoutError(self.said[start:].decode(errors="replace"))
            self.said += os.read(self._fd, 1 << 16)
        return found
