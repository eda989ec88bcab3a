"""How long an event loop is blocked, seen from outside: health probes beside heavy requests."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.figures import percentile
from bench.http_client import connect, request_bytes
from bench.processes import waited_ns

_PAUSE_S = 0.001
_OWN_QUEUE = Path("/proc/thread-self/schedstat")


@dataclass
class Probed:
    """Times that health probes took.

    Attributes:
        taken_ms: as seen by the client.
        ran_ms: the same, less what prober and contender stood ready without a core: on a machine
            that they share with load and upstream that part is the scheduler's, not the loop's.
    """

    taken_ms: list[float]
    ran_ms: list[float]

    def less(self, quiet: "Probed") -> dict[str, float]:
        """Return the longest times beyond what a probe takes when nothing else happens."""
        base_ms = percentile(quiet.taken_ms, 50)
        return {
            "seen_max_ms": max(self.taken_ms) - base_ms,
            "block_p99_ms": percentile(self.ran_ms, 99) - base_ms,
            "block_max_ms": max(self.ran_ms) - base_ms,
        }


async def _probe(port: int, run_queues: list[Path], seconds: float) -> Probed:
    request = request_bytes(b"", "/healthz", "HEAD")
    connection = await connect(port)
    loop = asyncio.get_running_loop()
    queues = [*run_queues, _OWN_QUEUE]
    probed = Probed([], [])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answered: asyncio.Future[bool] = loop.create_future()
        connection.on_end = answered.set_result
        waited = waited_ns(queues)
        sent = time.monotonic_ns()
        connection.send(request, bodiless=True)
        if not await asyncio.wait_for(answered, 10):
            raise ConnectionError("the health page was not answered with 200")
        taken = time.monotonic_ns() - sent
        probed.taken_ms.append(taken / 1e6)
        probed.ran_ms.append(max(0, taken - (waited_ns(queues) - waited)) / 1e6)
        await asyncio.sleep(_PAUSE_S)
    connection.on_end = None
    connection.transport.abort()
    return probed


def probe(port: int, run_queues: list[Path], seconds: float) -> Probed:
    """Ask for the health page every millisecond: a blocked event loop answers nobody.

    Args:
        port: the contender's.
        run_queues: its threads' scheduling counts, empty when it has no process.
        seconds: how long.
    """
    return uvloop.run(_probe(port, run_queues, seconds))


@contextmanager
def beside(port: int, run_queues: list[Path], seconds: float) -> Iterator[Probed]:
    """Probe from a thread while the caller loads the contender; filled when the block is left."""
    found = Probed([], [])
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe, port, run_queues, seconds)
        yield found
        result = probing.result(seconds + 30)
        found.taken_ms += result.taken_ms
        found.ran_ms += result.ran_ms
