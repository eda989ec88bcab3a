"""When which bytes of a stream are written: events and knobs in, timed writes out."""

import time
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from proxy.sandbox.answer import STAMP
from proxy.sandbox.knobs import Knobs
from proxy.sandbox.wire import BLANK, OVERLOADED, STOP, Event

_BLANK = BLANK.encode()
_STAMP = STAMP.encode()
_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Write(NamedTuple):
    """Bytes that are written together, `due_s` seconds after the first ones."""

    due_s: float
    chunk: bytes


def writes(events: Sequence[Event], knobs: Knobs, token: str) -> list[Write]:
    """Plan a stream; `token` makes its ids unique.

    Without pacing everything is one write. With it the opening events and each delta are a write;
    what follows the last delta goes with it. N deltas take N-1 intervals.
    """
    events = _faulty(list(events), knobs)
    if knobs.split is not None:
        whole = stamp(identify(_join(events), token), knobs)
        starts = range(0, len(whole), knobs.split)
        return [
            Write(place * knobs.interval, whole[at : at + knobs.split])
            for place, at in enumerate(starts)
        ]
    if not knobs.interval:
        return [Write(0.0, identify(_join(events), token))] if events else []
    planned: list[Write] = []
    paced = 0
    for event in events:
        frame = identify(event.frame, token)
        if event.paced or not planned:
            planned.append(Write(paced * knobs.interval, frame))
            paced += event.paced
        else:
            last = planned[-1]
            planned[-1] = Write(last.due_s, last.chunk + frame)
    return planned


def _join(events: Sequence[Event]) -> bytes:
    return b"".join(event.frame for event in events)


def identify(chunk: bytes, token: str) -> bytes:
    """Put a unique token into the ids of an answer."""
    return chunk.replace(_BLANK, token.encode())


def _faulty(events: list[Event], knobs: Knobs) -> list[Event]:
    if knobs.no_stop:
        events = [event for event in events if event is not STOP]
    if knobs.overloaded_at is not None:
        events = [*events[: knobs.overloaded_at], OVERLOADED]
    if knobs.stall is not None:
        events = events[: knobs.stall]
    return events


def stamp(chunk: bytes, knobs: Knobs) -> bytes:
    """Put the time where `stamp` wants it; to be called right before the bytes are sent."""
    return chunk.replace(_STAMP, b"t=%d " % time.monotonic_ns()) if knobs.stamp else chunk


class Encoder:
    """Compresses a body so that whatever went in can be read at once by the other side."""

    def __init__(self, knobs: Knobs) -> None:
        self._deflater = (
            None if knobs.encoding is None else zlib.compressobj(wbits=_WBITS[knobs.encoding])
        )

    def encode(self, chunk: bytes) -> bytes:
        """Return the bytes to send for a chunk."""
        if self._deflater is None:
            return chunk
        return self._deflater.compress(chunk) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """Return the bytes that end the body."""
        return b"" if self._deflater is None else self._deflater.flush()
