"""Answer a request for a stream before its upstream does, when `early_head` is set: a head, and pings while it waits.

Balancers cut a connection that is silent for a minute, and Claude Code warns after 20 s; a long prompt takes longer.
The price is that status and headers are spent: whatever fails then is one `error` event in a stream that ends cleanly.
The clock over all requests starts it, so a request that is answered in time costs nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from proxy.aiohttp_fast import UpstreamResponse
from proxy.causes import Cause
from proxy.errors import (
    REQUEST_ID,
    SERVER,
    SERVER_NAME,
    ProxyError,
    UpstreamFailed,
    UpstreamStatus,
)
from proxy.exchange import Exchange, Phase
from proxy.protocol import headers, message, sse
from proxy.relay import buffered, streaming
from proxy.relay.head import FROM_GATEWAY
from proxy.upstreams.opening import Opening


class EarlyHead:
    """The head that goes out when the upstream has been quiet for too long, and again and again a ping behind it.

    Args:
        request: whose client it goes to.
        exchange: tells when the upstream is quiet; its bytes are counted.
    """

    def __init__(self, request: web.Request, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._response: web.StreamResponse | None = None
        self._sending: asyncio.Task[None] | None = None
        exchange.on_quiet = self._ping

    async def settled(self) -> web.StreamResponse | None:
        """Stop, and return the response whose head has gone out; None when there is none.

        Raises:
            ConnectionError: the client is gone, or takes nothing.
        """
        self._exchange.on_quiet = None
        if self._sending is None:
            return None
        try:
            with self._exchange.waiting(Phase.CLIENT):
                await self._sending
        except ProxyError as interruption:
            self._exchange.fail(interruption)
            streaming.reset(self._request)
            raise ConnectionResetError from interruption
        return self._response

    def close(self) -> None:
        """Stop, whatever is under way."""
        self._exchange.on_quiet = None
        if self._sending is not None:
            self._sending.cancel()

    def _ping(self) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return  # the client is leaving, or has not taken the last one yet
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send())
            self._sending.add_done_callback(_retrieve)

    async def _send(self) -> None:
        if self._response is None:
            self._response = web.StreamResponse(
                headers={
                    headers.CONTENT_TYPE: "text/event-stream",
                    "Cache-Control": "no-cache",
                    "X-Accel-Buffering": "no",
                    REQUEST_ID: self._exchange.request_id,
                    SERVER: SERVER_NAME,
                }
            )
            self._response[FROM_GATEWAY] = True
            self._exchange.response_started(self._response.status)
            await self._response.prepare(self._request)
        self._exchange.bytes_out += len(sse.PING)
        await self._response.write(sse.PING)


def _retrieve(sending: asyncio.Task[None]) -> None:
    """Take note of a failure: `settled` raises it, unless the client has left before."""
    if not sending.cancelled():
        sending.exception()


async def relay(
    request: web.Request,
    exchange: Exchange,
    respond: Callable[[EarlyHead], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Let a request be answered, early when that takes long.

    Args:
        request: whose client it is.
        exchange: has its body read.
        respond: asks the upstream and relays its response, by `go_on` once `EarlyHead.settled` gives a response.

    Raises:
        ProxyError: there is no response, and no head has gone out.
    """
    head = EarlyHead(request, exchange)
    try:
        return await respond(head)
    except ProxyError as error:
        response = await head.settled()
        if response is None:
            raise
        nothing_passed = sse.StreamTap(None, framed=True)
        await streaming.end_broken(request, exchange, response, nothing_passed, error)
        return response
    finally:
        head.close()


async def go_on(
    request: web.Request,
    exchange: Exchange,
    upstream: UpstreamResponse,
    response: web.StreamResponse,
    *,
    opening: Opening | None,
    read: Sequence[bytes] = (),
) -> web.StreamResponse:
    """Relay an upstream's response behind a head that has gone out: what comes after the opening, or what was read.

    Raises:
        UpstreamStatus: the upstream answers with an error.
        UpstreamFailed, UpstreamTimeout: its body breaks off, or is no stream that can stand there.
    """
    if opening is not None:
        if exchange.opaque:
            raise UpstreamFailed(
                "the upstream compressed its stream, too late to be told to the client",
                Cause.UPSTREAM_GARBAGE,
            )
        return await streaming.relay(request, exchange, upstream, opening, response)
    body = await buffered.read(exchange, upstream, read)
    is_error = not upstream.is_success
    if upstream.is_success:
        _, is_error = buffered.take(exchange, body, None)
    if is_error:
        told = message.read_error(body)
        own = None if told is None else body
        raise UpstreamStatus(upstream.status, own, None if told is None else told[:2])
    raise UpstreamFailed(
        "the upstream answered with a whole message, where a stream was asked for",
        Cause.UPSTREAM_GARBAGE,
    )
