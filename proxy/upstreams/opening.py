"""Hold the beginning of a stream, until it is one: what breaks before that is still an error response, or moved.

Nothing has been passed on while it is held: neither a byte nor the head. What can be moved elsewhere is held until the
first event that is neither `message_start` nor `ping` nor `error`; all else only until its first event. `message_start`
comes at once, and so does the event behind it, also where thinking pauses before its first delta. No longer than
`OPENING_S`, or `timeouts.ping_after_s`, and not more than 64 KiB: then what is there goes out.
"""

import time
from typing import NamedTuple

from proxy.aiohttp_fast import UpstreamResponse
from proxy.causes import Cause
from proxy.deadlines import OpeningIsLongError
from proxy.errors import UpstreamFailed
from proxy.exchange import Exchange, Phase
from proxy.protocol import events, sse
from proxy.protocol.message import Echo
from proxy.upstreams.failures import READ_ERRORS, to_proxy_error
from proxy.upstreams.responses import tap_for

_MAX_HELD_BYTES = 1 << 16
_TYPED = b'{"type":"'
_BEFORE_CONTENT = ("message_start", "ping", "error")


class Opening(NamedTuple):
    """The beginning of a stream.

    Attributes:
        tap: watches it.
        held: to be passed on.
        read_bytes: of the upstream's, so far.
        is_whole: whether the stream has ended with it.
    """

    tap: sse.Tap
    held: bytes
    read_bytes: int
    is_whole: bool

    @property
    def declined_by(self) -> str | None:
        """Return the type of the error that came before any content; None: there was none."""
        if not self.tap.failed or _has_content(self.held):
            return None
        return "" if self.tap.error is None else self.tap.error.type


async def hold(
    exchange: Exchange, upstream: UpstreamResponse, echo: Echo | None, *, until_content: bool
) -> Opening:
    """Read a stream until it has begun.

    Args:
        exchange: notes what comes of it.
        upstream: the response, a stream.
        echo: which model to name.
        until_content: whether it may be moved, and is held until it has content.

    Raises:
        UpstreamFailed, UpstreamTimeout: it broke off, ended or fell silent before it had begun.
    """
    tap = tap_for(upstream, echo)
    exchange.stream, exchange.usage, exchange.told = True, tap.usage, tap.told
    exchange.opaque = isinstance(tap, sse.BlindTap)
    content, since_s = upstream.content, time.monotonic()
    held, read_bytes, known = b"", 0, 0
    try:
        while True:
            chunk = content.read_nowait()
            if not chunk:
                if content.at_eof():
                    held += tap.rest()
                    break
                with exchange.waiting(Phase.OPENING):
                    exchange.since_s = since_s
                    chunk = await content.readany()
            read_bytes += len(chunk)
            held += tap.feed(chunk)
            known = _looked_through(held, known, tap, until_content=until_content)
            if known < 0:
                return Opening(tap, held, read_bytes, is_whole=False)
    except OpeningIsLongError:
        return Opening(tap, held, read_bytes, is_whole=False)
    except READ_ERRORS as error:
        raise to_proxy_error(error, exchange) from error
    if not tap.finished:
        raise UpstreamFailed(
            "the upstream ended its stream before the message was complete", Cause.UPSTREAM_CUT
        )
    return Opening(tap, held, read_bytes, is_whole=True)


def _looked_through(held: bytes, start: int, tap: sse.Tap, *, until_content: bool) -> int:
    """Return up to where what is held is only before its beginning; -1: the stream has begun, or is over.

    Args:
        held: so far.
        start: up to where that is known already, so that each event is looked at once, however it comes.
        tap: has watched it.
        until_content: whether its beginning is content, or any event.
    """
    if held and (tap.finished or len(held) > _MAX_HELD_BYTES or isinstance(tap, sse.BlindTap)):
        return -1
    end = len(held) if held.endswith(b"\n\n") else events.last_end(held, start)
    if end <= start:
        return start
    return -1 if not until_content or _has_content(held[start:end]) else end


def _has_content(held: bytes) -> bool:
    """Return whether some event is no mere beginning."""
    return any(
        _kind(event.data) not in _BEFORE_CONTENT for event in events.split(held, begins=True)
    )


def _kind(data: bytes) -> str:
    if data.startswith(_TYPED):
        # As the API writes it, and most that speak like it.
        return data[len(_TYPED) : data.find(b'"', len(_TYPED))].decode("utf-8", "replace")
    decoded = events.decode(data)
    kind = decoded.get("type") if isinstance(decoded, dict) else None
    return kind if isinstance(kind, str) else ""
