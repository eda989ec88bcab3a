"""Child processes: started in a group of their own, measured through /proc, ended by their pid."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STOP_S = 10.0
# Much more than it takes, but for programs that valgrind runs.
_START_S = 300.0


class StartError(Exception):
    """A child ended, or did not answer in time, instead of serving."""


class Child:
    """A started command with its output in a file.

    Args:
        command: program and arguments.
        log: file for its output, standard error included.
        environment: what it finds in its environment beside ours.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self.started = time.monotonic()
        with log.open("wb") as output:
            # The group makes the workers of a killed master reachable.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    def wait_until_answering(self, port: int, within_s: float = _START_S) -> float:
        """Return the seconds from the process's start to its first answered request.

        Raises:
            StartError: it ended or stayed silent; the message holds the last line of its output.
        """
        while time.monotonic() - self.started < within_s:
            if self._process.poll() is not None:
                break
            if _answers(port):
                return time.monotonic() - self.started
            time.sleep(0.002)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        raise StartError(f"it does not answer; its last line: {lines[-1] if lines else '(none)'}")

    def stop(self) -> None:
        """End the process and its workers, by force after ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_STOP_S)

    def cpu_s(self) -> float:
        """Return the CPU time used so far by the process and its workers."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def run_queues(self) -> list[Path]:
        """Return the kernel's scheduling counts of every thread: see `waited_ns`."""
        return [
            stat for pid in self.pids() for stat in Path(f"/proc/{pid}/task").glob("*/schedstat")
        ]

    def rss_mb(self) -> float:
        """Return the resident memory of the process and its workers."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return pages * _PAGE_BYTES / 1e6

    def pids(self) -> list[int]:
        """Return the process and all that came of it."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        found = [self._process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


def waited_ns(run_queues: Iterable[Path]) -> int:
    """Return how long these threads were ready to run and had no core."""
    return sum(int(stat.read_text().split()[1]) for stat in run_queues)


def _cpu_s(pid: int) -> float:
    # The clock of a process, in nanoseconds and with the threads that have ended: clock_getcpuclockid(3), which Python
    # does not have; /proc/PID/stat counts only ticks of 10 ms.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.settimeout(1)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            return probe.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
