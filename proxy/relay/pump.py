"""The policy of a stream's pipe: what the tap makes of it, when to ping, what a slow client means.

| the pipe says | and then |
|---|---|
| `Wake.END`: all of the response has come and was written | `run` returns |
| `Wake.CLIENT_SLOW`: the client's buffer is full | `run` waits until it has drained, and the stream flows on |
| `Wake.CLIENT_GONE`: the client's connection closes | `run` raises `ConnectionResetError` |
| an error: the upstream broke off | `run` raises it |
| an interruption: a deadline, or the process ends | `run` raises its reason |
"""

import time

from aiohttp import web

from proxy.aiohttp_fast import Pipe, UpstreamResponse
from proxy.aiohttp_fast.wake import Wake
from proxy.exchange import Exchange, Phase
from proxy.protocol.sse import PING
from proxy.upstreams.opening import Opening


class Pump:
    """Copies one stream.

    Args:
        request: whose client it goes to.
        exchange: its phase is kept, and its bytes are counted.
        upstream: the upstream's response.
        response: prepared; its end is left to the caller.
        opening: of the stream, and what watches it.
    """

    def __init__(
        self,
        request: web.Request,
        exchange: Exchange,
        upstream: UpstreamResponse,
        response: web.StreamResponse,
        opening: Opening,
    ) -> None:
        self._exchange = exchange
        self._response = response
        self._tap = opening.tap
        self._held = opening.held
        self._upstream_at_s = time.monotonic()
        self._pipe = Pipe(request, upstream, response, self._pass_on, opening.read_bytes)

    async def run(self) -> None:
        """Copy until the upstream's end.

        Raises:
            aiohttp.ClientError: the upstream broke off.
            ConnectionResetError: the client is gone.
            ProxyError: an interruption.
            asyncio.CancelledError: the client is leaving.
        """
        exchange = self._exchange
        exchange.on_quiet = self._ping
        try:
            if held := self._held:
                self._held = b""
                exchange.bytes_out += len(held)
                if not self._pipe.put(held):
                    with exchange.waiting(Phase.CLIENT):
                        await self._response.write(held)
            while (woken := await self._flow()) is not Wake.END:
                if woken is Wake.CLIENT_GONE:
                    raise ConnectionResetError
                with exchange.waiting(Phase.CLIENT):
                    await self._pipe.drain()
                self._upstream_at_s = time.monotonic()
        finally:
            exchange.on_quiet = None
            # They know each other, and with them the request.
            del self._pipe
        if rest := self._tap.rest():
            exchange.bytes_out += len(rest)
            with exchange.waiting(Phase.CLIENT):
                await self._response.write(rest)

    async def _flow(self) -> Wake:
        with self._exchange.waiting(Phase.RESPONSE_BODY):
            # Since the upstream's last byte: a ping of ours is no sign of its life.
            self._exchange.since_s = self._upstream_at_s
            return await self._pipe.flow()

    def _pass_on(self, chunk: bytes) -> bytes:
        exchange = self._exchange
        exchange.since_s = self._upstream_at_s = time.monotonic()
        out = self._tap.feed(chunk)
        exchange.bytes_out += len(out)
        return out

    def _ping(self) -> None:
        """Tell the client of a silent stream that it is still alive, where an event may stand."""
        if self._tap.at_boundary and not self._tap.finished and self._pipe.put(PING):
            self._exchange.bytes_out += len(PING)
