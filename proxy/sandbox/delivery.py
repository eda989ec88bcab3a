"""Sending an answer, whole or broken on purpose."""

import asyncio
import time
from contextlib import suppress

from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.sandbox.knobs import Knobs
from proxy.sandbox.plan import Encoder, Write, stamp
from proxy.sandbox.served import Served
from proxy.sandbox.wire import PING

_POLL_S = 0.001


async def send_json(
    request: web.Request,
    headers: CIMultiDict[str],
    body: bytes,
    knobs: Knobs,
    served: Served | None = None,
) -> web.StreamResponse:
    """Send a JSON answer with the faults that the knobs ask for; `served` notes how much of it."""
    encoder = Encoder(knobs)
    body = encoder.encode(stamp(body, knobs)) + encoder.finish()
    if served is not None:
        served.size = len(body)
        served.delivered = len(body) if knobs.cut is None else max(0, min(knobs.cut, len(body)))
    headers[hdrs.CONTENT_TYPE] = "application/json"
    if knobs.cut is None and not knobs.wrong_length:
        return web.Response(body=body, headers=headers)
    headers[hdrs.CONTENT_LENGTH] = str(max(0, len(body) + knobs.wrong_length))
    response = web.StreamResponse(headers=headers)
    if _refused(request, knobs):
        return response
    with suppress(ConnectionError):
        await response.prepare(request)
        # Past aiohttp's writer, which would hold the body to the declared length.
        if request.transport is not None:
            request.transport.write(body if knobs.cut is None else body[: knobs.cut])
        if knobs.wrong_length or (knobs.cut is not None and knobs.cut < len(body)):
            await _flush(request)
            _close(request, abort=knobs.cut is not None)
    return response


async def send_stream(
    request: web.Request,
    headers: CIMultiDict[str],
    writes: list[Write],
    knobs: Knobs,
    *,
    closing: asyncio.Event,
    served: Served | None = None,
) -> web.StreamResponse:
    """Send a stream as planned.

    Args:
        request: the request.
        headers: of the answer.
        writes: the plan.
        knobs: of this request.
        closing: set when the server stops; ends a stall.
        served: notes how much of the answer was sent.
    """
    headers[hdrs.CONTENT_TYPE] = "text/event-stream; charset=utf-8"
    headers[hdrs.CACHE_CONTROL] = "no-cache"
    if len(writes) == 1 and knobs.cut is None and knobs.stall is None:
        # Headers, events and terminator in one packet.
        encoder = Encoder(knobs)
        body = encoder.encode(stamp(writes[0].chunk, knobs)) + encoder.finish()
        if served is not None:
            served.delivered = len(writes[0].chunk)
        whole = web.Response(body=body, headers=headers)
        whole.enable_chunked_encoding()
        return whole
    response = web.StreamResponse(headers=headers)
    if _refused(request, knobs):
        return response
    # A client that leaves ends the stream: the rest has no reader.
    with suppress(ConnectionError):
        await response.prepare(request)
        complete = await _play(response, writes, knobs, served)
        if not complete:
            await _flush(request)
            _close(request, abort=True)
        elif knobs.stall is not None:
            await closing.wait()
            _close(request, abort=True)
    return response


async def _play(
    response: web.StreamResponse, writes: list[Write], knobs: Knobs, served: Served | None
) -> bool:
    """Write what is planned; return False when `cut` ended it."""
    encoder = Encoder(knobs)
    room = knobs.cut
    start = time.monotonic()
    next_ping = start + knobs.ping if knobs.ping else float("inf")

    async def send(chunk: bytes) -> bool:
        nonlocal room
        if room is not None:
            chunk, room = chunk[:room], room - len(chunk)
        if chunk:
            await response.write(chunk)
        return room is None or room > 0

    for due_s, chunk in writes:
        due = start + due_s
        while next_ping < due:
            await asyncio.sleep(next_ping - time.monotonic())
            if not await send(encoder.encode(PING)):
                return False
            next_ping += knobs.ping
        # Also a write that is late lets other requests run.
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if served is not None:
            # Before it is written: its reader may have it, and leave, while the write still waits.
            served.delivered += len(chunk) if room is None else min(room, len(chunk))
        if not await send(encoder.encode(stamp(chunk, knobs))):
            return False
    return knobs.stall is not None or await send(encoder.finish())


def _refused(request: web.Request, knobs: Knobs) -> bool:
    """Abort the connection before the status line, if `cut` asks for that."""
    if knobs.cut != -1:
        return False
    _close(request, abort=True)
    return True


async def _flush(request: web.Request) -> None:
    """Wait until the kernel has everything written so far; an abort would drop the rest."""
    # uvloop hands writes over at the end of the loop's turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    while (  # noqa: ASYNC110 - a transport tells nobody that its buffer is empty
        (transport := request.transport) is not None
        and not transport.is_closing()
        and transport.get_write_buffer_size()
    ):
        await asyncio.sleep(_POLL_S)


def _close(request: web.Request, *, abort: bool) -> None:
    transport = request.transport
    if transport is not None and abort:
        transport.abort()
    elif transport is not None:
        transport.close()
