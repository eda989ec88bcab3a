"""What a response says about itself beside its usage: who answers, why it ended, how much of it there was. Pure."""

import re
from typing import Any

import msgspec

_MAX_CHARS = 256

DELTA = b'"content_block_delta"'
"""Stands once in each delta, and in no text: there its quotes are escaped."""
DELTA_FRAMING_BYTES = len(b"event: content_block_delta\ndata: \n\n")
"""Of a delta, what is not its data."""

_BETWEEN_EVENTS = re.compile(rb"\n\n|\n\r\n?|\r\r\n?")
_BLANK_LINE_BYTES = 2


class Told(msgspec.Struct):
    """What a response has told so far.

    Attributes:
        model: that answers. `id`: of its message.
        stop_reason: why it ended. `refusal`: the category, when it refused.
        cache_miss: why the prompt's cache was not used, when the request asked for a diagnosis.
        deltas, delta_bytes: of a stream, its `content_block_delta` events: how many, of how many bytes.
    """

    model: str | None = None
    stop_reason: str | None = None
    refusal: str | None = None
    cache_miss: str | None = None
    deltas: int = 0
    delta_bytes: int = 0
    id: str | None = None

    def count(self, deltas: int, delta_bytes: int) -> None:
        """Count some more deltas."""
        self.deltas += deltas
        self.delta_bytes += delta_bytes

    def count_in(self, events: bytes) -> None:
        """Count the deltas among events, with their bytes."""
        deltas = events.count(DELTA)
        if not deltas:
            return
        if events.count(b"\n\n") == deltas:
            self.count(deltas, len(events))
            return
        plain = b"\r" not in events
        for event in events.split(b"\n\n") if plain else _BETWEEN_EVENTS.split(events):
            if DELTA in event:
                self.count(1, len(event) + _BLANK_LINE_BYTES)

    def take_message(self, message: dict[str, Any]) -> None:
        """Take what a message says, of a stream that of its `message_start`."""
        self.id = _word(message.get("id")) or self.id
        self.model = _word(message.get("model")) or self.model
        if isinstance(diagnostics := message.get("diagnostics"), dict):
            reason = diagnostics.get("cache_miss_reason")
            self.cache_miss = _word(reason.get("type")) if isinstance(reason, dict) else None
        self.take_end(message)

    def take_end(self, end: Any) -> None:
        """Take why a message ended: of the message, or of a `message_delta` of its stream."""
        if isinstance(end, dict) and (reason := _word(end.get("stop_reason"))) is not None:
            self.stop_reason = reason
            details = end.get("stop_details")
            self.refusal = _word(details.get("category")) if isinstance(details, dict) else None


def _word(value: Any) -> str | None:
    return value[:_MAX_CHARS] if isinstance(value, str) and value else None
