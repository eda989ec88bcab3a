"""Paced streams: how late each event arrives, measured against the send time it carries."""

import asyncio
import re
import time
from dataclasses import dataclass, field

from bench.figures import percentile
from bench.http_client import MESSAGES, Connection, connect, request_bytes

_STAMP = re.compile(rb"sent=(\d{20})")
_STOP = b'"type":"message_stop"'
_SPREAD_S = 1.0  # over which starts are spread, so that the streams' clocks are not in lockstep


@dataclass(frozen=True)
class StreamLoad:
    """What to open.

    Attributes:
        streams: how many at once.
        events: text deltas in each.
        interval_ms: between deltas.
        repeats: streams that each connection carries in turn.
    """

    streams: int
    events: int
    interval_ms: int
    repeats: int = 1

    @property
    def path(self) -> str:
        """The request target that makes the upstream send this."""
        return f"{MESSAGES}?events={self.events}&interval_ms={self.interval_ms}"

    @property
    def expected_events(self) -> int:
        """Text deltas of all streams."""
        return self.streams * self.events * self.repeats

    @property
    def duration_s(self) -> float:
        """From the first stream's start to the last one's end, when nothing is late."""
        return _SPREAD_S + self.repeats * self.events * self.interval_ms / 1000


@dataclass
class Seen:
    """What arrived, in nanoseconds."""

    late_ns: list[int] = field(default_factory=list)
    first_byte_ns: list[int] = field(default_factory=list)
    unfinished: int = 0

    def figures(self, load: StreamLoad) -> dict[str, float]:
        """Return percentiles, events lost, and streams that did not end as the protocol says."""
        return {
            "event_p50_ms": percentile(self.late_ns, 50) / 1e6,
            "event_p99_ms": percentile(self.late_ns, 99) / 1e6,
            "first_p50_ms": percentile(self.first_byte_ns, 50) / 1e6,
            "first_p99_ms": percentile(self.first_byte_ns, 99) / 1e6,
            "lost": load.expected_events - len(self.late_ns),
            "unfinished": self.unfinished,
        }


class _Slot:
    """One connection that carries streams one after another."""

    def __init__(self, connection: Connection, request: bytes, repeats: int, seen: Seen) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._request = request
        self._left = repeats
        self._seen = seen
        connection.on_body = self._body
        connection.on_end = self._end

    def start(self) -> None:
        self._tail = b""
        self._stopped = False
        self._first = True
        self._sent_ns = time.monotonic_ns()
        self._connection.send(self._request)

    def close(self) -> None:
        self._connection.on_body = self._connection.on_end = None
        self._connection.transport.abort()

    def _body(self, body: bytes) -> None:
        now = time.monotonic_ns()
        if self._first:
            self._first = False
            self._seen.first_byte_ns.append(now - self._sent_ns)
        # A contender may cut an event in two: count only whole lines, keep the rest.
        lines, newline, rest = (self._tail + body).rpartition(b"\n")
        self._tail = rest
        if newline:
            for stamp in _STAMP.findall(lines):
                self._seen.late_ns.append(now - int(stamp))
            if _STOP in lines:
                self._stopped = True

    def _end(self, ok: bool) -> None:  # noqa: FBT001 (a callback's one argument)
        self._left -= 1
        if not (ok and self._stopped):
            self._seen.unfinished += 1 + self._left
        elif self._left:
            self.start()
            return
        if not self.ended.done():
            self.ended.set_result(None)


async def run_streams(port: int, load: StreamLoad, body: bytes) -> dict[str, float]:
    """Open all streams of a load, wait for their ends, and return the figures."""
    loop = asyncio.get_running_loop()
    seen = Seen()
    request = request_bytes(body, load.path)
    slots = [_Slot(await connect(port), request, load.repeats, seen) for _ in range(load.streams)]
    begin = loop.time() + 0.05
    for index, slot in enumerate(slots):
        loop.call_at(begin + index * _SPREAD_S / load.streams, slot.start)
    _, late = await asyncio.wait([slot.ended for slot in slots], timeout=2 * load.duration_s + 10)
    seen.unfinished += len(late)
    for slot in slots:
        slot.close()
    return seen.figures(load)
