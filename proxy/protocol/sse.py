"""What a Messages stream says about itself, read from bytes that pass through unchanged. Pure.

Facts (the API's streaming reference, the HTML standard's "server-sent events"):
a line ends with LF, CRLF or CR, in any mixture, and an event with a blank line; chunks split events anywhere;
`message_start` carries the model, the input's usage and a provisional output count; `message_delta.usage` is
cumulative, so the last one overlays it, field by field, nulls apart; `message_stop` or an `error` event ends a
stream, and nothing else does, because clients do not notice a missing `message_stop`. SDKs read the last event also
when its blank line is missing.

Only the few events named here are ever decoded: 0.5 µs per delta of 150 bytes. Of deltas, output is measured, not read.
"""

from typing import Any, Protocol

import msgspec

from proxy.protocol import events
from proxy.protocol.message import ApiError, Echo, error_in
from proxy.protocol.told import DELTA, Told

PING = b'event: ping\ndata: {"type": "ping"}\n\n'

_MAX_EVENT_BYTES = 1 << 20
_MAX_HELD_BYTES = 1 << 16
_DELTA_BEGINS = b'event: content_block_delta\ndata: {"type":"content_block_delta"'
_DELTA_ENDS, _DELTA_LINES = b"}}\n\n", 3
_DATA_AT = _DELTA_BEGINS.index(b"{")
# What follows in a delta of text, behind the number of its block when that is one digit.
_TEXT_BEGINS = b',"delta":{"type":"text_delta","text":"'
_TEXT_AT = len(_DELTA_BEGINS) + len(b',"index":0')
_TEXT_FRAMING_BYTES = _TEXT_AT + len(_TEXT_BEGINS) + len(b'"' + _DELTA_ENDS)


def error_event(body: bytes) -> bytes:
    """Frame an error body, of however many lines, as the stream's last event."""
    return b"event: error\n%b\n" % b"".join(b"data: %b\n" % line for line in body.splitlines())


class Tap(Protocol):
    """What watches a stream that is passed on.

    Attributes:
        usage: the usage so far, in the API's field names; final once `finished`.
        told: what else it has said of itself so far, and how much output there was.
        finished: whether the stream is over, as far as can be told.
        failed: whether it was an `error` that ended it.
        error: what that one says; None when there was none, or it is not of the API's shape.
        at_boundary: whether what has been passed on ends between two events, so that another event may follow.
    """

    usage: dict[str, Any]
    told: Told
    finished: bool
    failed: bool
    error: ApiError | None
    at_boundary: bool

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream, and return the bytes to pass on."""

    def rest(self) -> bytes:
        """Return the bytes still held back when the stream has ended."""


class BlindTap:
    """Stands for a stream that cannot be watched, a compressed one: all is passed on, and only its framing tells.

    Args:
        framed: whether the end of the stream can be told from a cut.
    """

    def __init__(self, *, framed: bool) -> None:
        self.usage: dict[str, Any] = {}
        self.told = Told()
        self.finished = framed
        self.failed = False
        self.error: ApiError | None = None
        self.at_boundary = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk."""
        return chunk

    def rest(self) -> bytes:
        """Return nothing: nothing was held back."""
        return b""


class StreamTap:
    """Watches one stream.

    Attributes:
        usage: the usage so far, in the API's field names; final once `finished`.
        told: what else it has said of itself so far; of whole events, how much output there was.
        finished: whether the stream said that it is over (`message_stop` or `error`).
        failed: whether it was an `error` that ended it.
        error: what that one says; None when there was none, or it is not of the API's shape.
        at_boundary: whether what has been passed on ends between two events, so that another event may follow.
    """

    __slots__ = (
        "_begins",
        "_echo",
        "_framed",
        "_partial",
        "_skipping",
        "at_boundary",
        "error",
        "failed",
        "finished",
        "told",
        "usage",
    )

    def __init__(self, echo: Echo | None, *, framed: bool) -> None:
        """Watch a stream from its first byte.

        Args:
            echo: which id to put into `message_start`; None leaves it as it is.
            framed: whether the end of the stream can be told from a cut: then its last event needs no blank line.
        """
        self._echo = echo
        self._framed = framed
        self._begins = True
        self._partial = bytearray()
        self._skipping = False
        self.usage: dict[str, Any] = {}
        self.told = Told()
        self.finished = False
        self.failed = False
        self.error: ApiError | None = None
        self.at_boundary = True

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream, and return the bytes to pass on.

        They are the same, except that `message_start` is held back until it is whole and names the model asked for.
        """
        held = self._echo is not None
        flows = not held and not self._partial and chunk.startswith(_DELTA_BEGINS)
        if flows and chunk.endswith(_DELTA_ENDS) and len(chunk.splitlines()) == _DELTA_LINES:
            # One delta as the API writes it, which is what most chunks are.
            if chunk.startswith(_TEXT_BEGINS, _TEXT_AT):
                self.told.output_bytes += len(chunk) - _TEXT_FRAMING_BYTES
            else:
                self.told.count_delta(chunk[_DATA_AT:])
            self._begins = False
            self.at_boundary = True
            return chunk
        whole = not self._partial and chunk.endswith(b"\n\n")
        complete = chunk if whole else self._complete(chunk)
        if _may_tell(complete):
            complete = self._read(complete)
        else:
            self.told.count_in(complete)
        self._begins = self._begins and not complete
        if not held:
            self.at_boundary = self._is_between()
            return chunk
        if self._echo is not None and len(self._partial) <= _MAX_HELD_BYTES:
            return complete
        # Either message_start has just passed, or what should be it is no event at all: hold nothing any more.
        self._echo = None
        self.at_boundary = self._is_between()
        return complete + bytes(self._partial)

    def rest(self) -> bytes:
        """Read the last event at the end of a framed stream, and return the bytes that are still held back."""
        held = self._echo is not None
        rest = bytes(self._partial)
        if self._framed and not self._skipping:
            if _may_tell(rest):
                rest = self._read(rest)
            else:
                self.told.count_in(rest)
        self._echo = None
        self.at_boundary = self._is_between()
        return rest if held else b""

    def _is_between(self) -> bool:
        """Return whether what has come ends between two events; of one that is skipped only the last byte is kept."""
        return not self._partial or (not self._skipping and events.is_blank(self._partial))

    def _complete(self, chunk: bytes) -> bytes:
        """Split off the whole events of what has come; keep the beginning of the next."""
        partial = self._partial
        searched = max(len(partial) - 1, 0)
        partial += chunk
        if self._skipping:
            searched = 0
            end = events.first_end(partial)
            self._skipping = end < 0
            del partial[: end if end >= 0 else -1]
        end = events.last_end(partial, searched)
        if end < 0:
            if len(partial) > _MAX_EVENT_BYTES and self._echo is None:
                # No event that tells anything is this long: wait for its end without keeping it.
                self.told.count_in(bytes(partial))
                self._skipping = True
                del partial[:-1]
            return b""
        complete = bytes(partial[:end])
        del partial[:end]
        return complete

    def _read(self, complete: bytes) -> bytes:
        """Read the telling events among whole ones; return them, `message_start` with the model replaced."""
        out = complete
        for event in events.split(complete, begins=self._begins):
            if DELTA in event.data:
                self.told.count_delta(event.data)
            if not _may_tell(event.data):
                continue
            decoded = events.decode(event.data)
            kind = decoded.get("type") if isinstance(decoded, dict) else None
            if kind == "message_start":
                message = decoded.get("message")
                if isinstance(message, dict):
                    self._overlay(message.get("usage"))
                    self.told.take_message(message)
                    if self._echo is not None and message.get("model") == self._echo.sent:
                        out = self._rename_model(complete, event)
                self._echo = None
            elif kind == "message_delta":
                self._overlay(decoded.get("usage"))
                self.told.take_end(decoded.get("delta"))
            elif kind in ("message_stop", "error"):
                self.finished = True
                self.failed = kind == "error"
                self.error = error_in(decoded)
        return out

    def _rename_model(self, complete: bytes, event: events.Event) -> bytes:
        """Return the events with the model replaced in one of them, where it can be spliced."""
        if self._echo is None:
            return complete
        try:
            return event.replaced_in(complete, self._echo.in_start(event.data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return complete

    def _overlay(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self.usage.update((name, value) for name, value in usage.items() if value is not None)


def _may_tell(data: bytes) -> bool:
    """Return whether some event can be one that says something; ten times as fast as a pattern."""
    # Not by `in`: CPython 3.11 makes an error each time, and throws it away.
    return data.find(b"message_") >= 0 or data.find(b'"error"') >= 0
