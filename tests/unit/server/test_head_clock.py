"""How long a connection waits for a head: a machine sends requests in any pieces, by a clock of its own."""

import asyncio
from typing import Any, cast

from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy import Timeouts
from proxy.server.connection import Connection
from proxy.server.listener import Listener
from tests.support.gateways import config_for

HEAD_S, IDLE_S = 5.0, 8.0
REQUESTS = {
    "get": (b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n", b""),
    "length": (b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n", b"GET / HTT"),
    "chunked": (
        b"POST / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"4;x=y\r\nGET \r\n0\r\na: b\r\n\r\n",
    ),
}


class Wire(asyncio.Transport):
    """A connection that nothing is behind."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True

    def is_closing(self) -> bool:
        return not self.is_open

    def close(self) -> None:
        self.is_open = False

    abort = close

    def write(self, data: Any) -> None:
        """Nobody reads it."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading


class HeadClock(RuleBasedStateMachine):
    """Knows of each byte whether it is a head's, and from when the next head is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1000.0
        self.stream = b""
        self.kinds = list[str]()
        self.heads = list[tuple[int, int]]()  # where each head ends, and each request
        self.sent = self.answered = 0  # bytes, requests
        self.since = self.now  # a head, or the next request, is waited for
        self.answering: asyncio.Future[None] | None = None

    @initialize(kinds=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=12, max_size=12))
    def choose(self, kinds: list[str]) -> None:
        self.kinds = kinds
        for kind in kinds:
            head, body = REQUESTS[kind]
            begin = len(self.stream)
            self.stream += head + body
            self.heads.append((begin + len(head), len(self.stream)))
        self.connect()

    @precondition(lambda self: not self.wire.is_open)
    @rule()
    def connect_again(self) -> None:
        self.loop.run_until_complete(self._end())
        self.connect()

    def connect(self) -> None:
        self.sent = self.answered = 0
        self.since = self.now
        self.answering = None

        async def start() -> None:
            server = web.Server(self._answer)
            timeouts = Timeouts(request_head_s=HEAD_S, client_idle_s=IDLE_S)
            config = config_for("http://127.0.0.1:9", timeouts=timeouts)
            listener = Listener(server, config, lambda _: None)
            listener.close()  # its clock: this machine looks
            self.connection = cast(Connection, listener())
            self.connection.clock = lambda: self.now  # the loop has another
            self.wire = Wire()
            self.connection.connection_made(self.wire)

        self.loop.run_until_complete(start())

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.answering = asyncio.get_running_loop().create_future()
        await self.answering
        self.answering = None
        return web.Response(text="ok")

    async def _turns(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def is_busy(self) -> bool:
        """Whether the head of the next request is there."""
        return len(self.heads) > self.answered and self.sent >= self.heads[self.answered][0]

    @property
    def has_ended(self) -> bool:
        """Whether the last answer was to a request in chunks, behind which there is no other."""
        return self.answered > 0 and self.kinds[self.answered - 1] == "chunked"

    @property
    def boundary(self) -> int:
        """Where the last answered request ends."""
        return self.heads[self.answered - 1][1] if self.answered else 0

    @precondition(lambda self: self.wire.is_open and self.sent < len(self.stream))
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """Send some bytes, or up to where a head or a request ends, or as far behind that as into the next one."""
        ends = sorted({each for pair in self.heads for each in pair if each > self.sent})
        near = st.integers(self.sent + 1, min(self.sent + 30, len(self.stream)))
        end = data.draw(st.sampled_from(ends[:3]) | near)
        end = min(end + data.draw(st.sampled_from([0, 0, 1, 20])), len(self.stream))
        if not self.is_busy and self.sent == self.boundary:
            # A connection's first head is waited for since it is there.
            self.since = self.now if self.answered else self.since
        piece = self.stream[self.sent : end]
        self.sent = end

        async def feed() -> None:
            self.connection.data_received(piece)
            await self._turns()

        self.loop.run_until_complete(feed())

    @precondition(lambda self: self.answering is not None)
    @rule()
    def answer(self) -> None:
        async def release() -> None:
            assert self.answering is not None
            self.answering.set_result(None)
            await self._turns()

        self.loop.run_until_complete(release())
        self.answered += 1
        self.since = self.now
        assert self.wire.is_open != self.has_ended

    @precondition(lambda self: self.wire.is_open)
    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.5, HEAD_S]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        in_head = not self.is_busy and (self.sent > self.boundary or not self.answered)
        bound_s = float("inf") if self.is_busy else HEAD_S if in_head else IDLE_S

        async def look() -> None:
            self.connection.look(self.now)
            await self._turns()

        self.loop.run_until_complete(look())
        assert self.wire.is_open == (self.now - self.since < bound_s)

    @invariant()
    def is_open_until_it_is_judged(self) -> None:
        if hasattr(self, "wire") and self.is_busy and not self.has_ended:
            assert self.wire.is_open

    async def _end(self) -> None:
        self.connection.connection_lost(None)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.loop.run_until_complete(self._end())
        self.loop.close()


TestHeadClock = HeadClock.TestCase
TestHeadClock.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
