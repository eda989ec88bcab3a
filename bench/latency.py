"""Latency seen from outside: one connection, and a fixed rate."""

import asyncio
import signal
import time
from collections import deque

from bench.figures import percentile
from bench.http_client import Connection, connect, request_bytes

_OPEN_LOOP_CONNECTIONS = 128
_SHORTEST_TICK_S = 0.0002
_SETTLE_S = 0.5


async def one_connection(port: int, body: bytes, seconds: float) -> dict[str, float]:
    """Send requests one after another on one connection."""
    connection = await connect(port)
    request = request_bytes(body)
    taken_ns: list[int] = []
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begin = sent = time.monotonic_ns()
    failed = 0

    def end(ok: bool) -> None:  # noqa: FBT001 (a callback's one argument)
        nonlocal sent, failed
        now = time.monotonic_ns()
        taken_ns.append(now - sent)
        if not ok:
            failed += 1
        if not ok or now - begin > seconds * 1e9:
            connection.on_end = None
            ended.set_result(None)
            return
        sent = time.monotonic_ns()
        connection.send(request)

    connection.on_end = end
    connection.send(request)
    await asyncio.wait_for(ended, seconds + 10)
    connection.transport.abort()
    return {
        "p50_ms": percentile(taken_ns, 50) / 1e6,
        "p99_ms": percentile(taken_ns, 99) / 1e6,
        "failed": failed,
    }


class _OpenLoop:
    """Requests due at fixed times, whatever became of the earlier ones.

    A request that finds no free connection waits in line, and its latency counts from the time it
    was due: a stall of the contender shows in every request that it delayed.
    """

    def __init__(self, connections: list[Connection], request: bytes, rate: float) -> None:
        self.late_ns: list[int] = []
        self.failed = 0
        self._free = connections
        self._waiting: deque[int] = deque()
        self._request = request
        self._interval_ns = 1e9 / rate
        self._begin = time.monotonic_ns()
        self._issued = 0

    def tick(self) -> None:
        """Send everything that has become due."""
        due_count = int((time.monotonic_ns() - self._begin) / self._interval_ns)
        while self._issued < due_count:
            self._issued += 1
            self._waiting.append(self._begin + int(self._issued * self._interval_ns))
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._free:
            self._send(self._free.pop(), self._waiting.popleft())

    def _send(self, connection: Connection, due_ns: int) -> None:
        def end(ok: bool) -> None:  # noqa: FBT001 (a callback's one argument)
            self.late_ns.append(time.monotonic_ns() - due_ns)
            if ok:
                self._free.append(connection)
            else:
                self.failed += 1
            self._send_waiting()

        connection.on_end = end
        connection.send(self._request)

    def pending(self) -> int:
        """Return how many requests are due and unanswered."""
        return self._issued - len(self.late_ns)


async def open_loop(port: int, body: bytes, rate: float, seconds: float) -> dict[str, float]:
    """Send requests at a constant rate; latency is counted from when each was due."""
    loop = asyncio.get_running_loop()
    connections = [await connect(port) for _ in range(_OPEN_LOOP_CONNECTIONS)]
    await asyncio.sleep(_SETTLE_S)  # accepting that many at once is not what is measured
    load = _OpenLoop(list(connections), request_bytes(body), rate)
    # uvloop's own timers are whole milliseconds: too coarse.
    tick_s = max(1 / rate, _SHORTEST_TICK_S)
    loop.add_signal_handler(signal.SIGALRM, load.tick)
    signal.setitimer(signal.ITIMER_REAL, tick_s, tick_s)
    await asyncio.sleep(seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    loop.remove_signal_handler(signal.SIGALRM)
    await asyncio.sleep(_SETTLE_S)
    unanswered = load.pending()
    for connection in connections:
        connection.on_end = None
        connection.transport.abort()
    return {
        "rate": rate,
        "p50_ms": percentile(load.late_ns, 50) / 1e6,
        "p99_ms": percentile(load.late_ns, 99) / 1e6,
        "p999_ms": percentile(load.late_ns, 99.9) / 1e6,
        "failed": load.failed + unanswered,
    }
