"""What a pool costs a request beside no pool, in instructions: `make bench-pools`.

Gateways that differ in nothing else run side by side under callgrind and take turns. Their processes alone are counted,
in user space; what they do without requests is taken off. So the figures of small messages hold to some parts in a
thousand also on a machine that others use, which times do not; those of streams do not: there events come together.
"""

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.bodies import small_body
from bench.contenders import (
    GATEWAY,
    POOL,
    POOL_OF_ONE,
    Running,
    running,
    stream_upstream,
)
from bench.http_client import connect, request_bytes
from bench.paced_client import StreamLoad, run_streams
from bench.processes import StartError
from bench.workloads import EVENTS

_CONTENDERS = (GATEWAY, POOL_OF_ONE, POOL)
_SMALL = 200
_STREAMS = StreamLoad(8, EVENTS, 40)
_IDLE_S = 3.0
_TOTALS = "totals: "
_SESSION = b"\r\nx-claude-code-session-id: 00000000-0000-4000-8000-000000000001"


class _Counted:
    """A gateway whose instructions are counted.

    Args:
        gateway: runs under callgrind, which writes its counts beside `counts`.
    """

    def __init__(self, gateway: Running, counts: Path) -> None:
        if gateway.child is None:
            raise StartError("there is no process to count")
        self._pid = gateway.child.pid
        self._counts = counts
        self._dumps = 0
        self.port = gateway.port
        self._tell("instrumentation on")

    def of(self, work: Callable[[int], None]) -> float:
        """Return how many instructions the gateway takes while a piece of work is done."""
        self._tell("zero")
        began_s = time.monotonic()
        work(self.port)
        took_s = time.monotonic() - began_s
        spent = self._spent()
        time.sleep(_IDLE_S)
        return spent - self._spent() * took_s / _IDLE_S

    def _spent(self) -> int:
        """Return the count since the last time, and begin anew."""
        self._tell("dump")
        self._dumps += 1
        dump = self._counts.with_name(f"{self._counts.name}.{self._dumps}")
        lines = dump.read_text("utf-8", "replace").splitlines()
        return int(next(line for line in lines if line.startswith(_TOTALS)).removeprefix(_TOTALS))

    def _tell(self, command: str) -> None:
        vgdb = ["vgdb", f"--pid={self._pid}", command]
        subprocess.run(vgdb, check=True, capture_output=True, timeout=60)


async def _sent(port: int, request: bytes, times: int) -> None:
    """Send a request again and again on one connection."""
    connection = await connect(port)
    for _ in range(times):
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        connection.on_end = ended.set_result
        connection.send(request)
        if not await ended:
            raise StartError("a request was not answered as it should be")
    connection.on_end = None
    connection.transport.abort()


def _small(more: bytes) -> Callable[[int], None]:
    head, end_of_head, body = request_bytes(small_body()).partition(b"\r\n\r\n")
    request = head + more + end_of_head + body
    return lambda port: uvloop.run(_sent(port, request, _SMALL))


def _streams(port: int) -> None:
    figures = uvloop.run(run_streams(port, _STREAMS, small_body(stream=True)))
    if figures["unfinished"]:
        raise StartError("a stream did not end as it should")


@dataclass(frozen=True)
class _Work:
    """What is done: `title`, and how many requests it is."""

    title: str
    requests: int
    do: Callable[[int], None]


_WORKS = (
    _Work("W1, known by its prompt", _SMALL, _small(b"")),
    _Work("W1, known by its session", _SMALL, _small(_SESSION)),
    _Work(f"a paced stream of {EVENTS} events", _STREAMS.streams, _streams),
)


def _measured(scratch: Path, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Return the thousand instructions of a request by work and contender, one for each round."""
    seen: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        upstream_port = stack.enter_context(stream_upstream(scratch))
        counted: dict[str, _Counted] = {}
        for name in _CONTENDERS:
            counts = scratch / f"{name}.counts".replace(" ", "-")
            callgrind = [
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                f"--callgrind-out-file={counts}",
            ]
            gateway = stack.enter_context(
                running(name, upstream_port, scratch, before=None, servers=None, under=callgrind)
            )
            counted[name] = _Counted(gateway, counts)
        for turn in range(-1, rounds):
            for work in _WORKS:
                for name in _CONTENDERS:
                    spent = counted[name].of(work.do) / work.requests / 1000
                    print(f"round {turn + 1}  {work.title}: {name}: {spent:.1f}", file=sys.stderr)
                    if turn >= 0:  # The one before fills what is remembered.
                        seen.setdefault((work.title, name), []).append(spent)
    return seen


def _table(seen: dict[tuple[str, str], list[float]]) -> str:
    lines = [
        "| thousand instructions of the gateway | no pool | a pool of one | of two | no pool / of two |",
        "|---|---|---|---|---|",
    ]
    for work in _WORKS:
        none, one, two = (statistics.median(seen[work.title, name]) for name in _CONTENDERS)
        lines.append(f"| {work.title} | {none:.1f} | {one:.1f} | {two:.1f} | {none / two:.3f} |")
    return "\n".join(lines)


def main() -> int:
    """Run it; return 2 without its tools."""
    parser = argparse.ArgumentParser(prog="python -m bench.pools", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is missing; install it with: apt-get install valgrind", file=sys.stderr)
        return 2
    # One order of sets and dicts for all.
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        print(_table(_measured(Path(scratch), options.rounds)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children, too
    sys.exit(main())
