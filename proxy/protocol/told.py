"""What a response says about itself beside its usage: who answers, why it ended, how much of it there was. Pure."""

import re
from typing import Any

import msgspec

_MAX_CHARS = 256

DELTA = b'"content_block_delta"'
"""Stands once in each delta, and in no text: there its quotes are escaped."""

_BETWEEN_EVENTS = re.compile(rb"\n\n|\n\r\n?|\r\r\n?")
_OUTPUT = re.compile(rb'_delta", ?"(?:text|thinking|partial_json)": ?"([^\r\n]*)"')
# Of one of text, what stands before it and behind it, as the API writes them.
_TEXT_BEGINS, _TEXT_ENDS = b'"text_delta","text":"', b'"}}\n\n'
_NO_OUTPUT = (b'"signature_delta"', b'"citations_delta"')
# Of the data of a delta of text, all but the text.
_DATA_FRAMING_BYTES = len(
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}'
)


class Told(msgspec.Struct):
    """What a response has told so far.

    Attributes:
        model: that answers. `id`: of its message.
        stop_reason: why it ended. `refusal`: the category, when it refused.
        cache_miss: why the prompt's cache was not used, when the request asked for a diagnosis.
        output_bytes: of a stream, what its `content_block_delta` events hold of text, thinking and input of tools; an
            escape counts as a byte, or nearly.
    """

    model: str | None = None
    stop_reason: str | None = None
    refusal: str | None = None
    cache_miss: str | None = None
    output_bytes: int = 0
    id: str | None = None

    def count_in(self, events: bytes) -> None:
        """Count the output among events."""
        deltas = events.count(DELTA)
        if not deltas:
            return
        plain = b"\r" not in events
        if plain and events.count(_TEXT_BEGINS) == deltas == events.count(b"\n\n"):
            # All are of text, and each has around it what the first one has.
            framing = events.find(_TEXT_BEGINS) + len(_TEXT_BEGINS) + len(_TEXT_ENDS)
            self.output_bytes += max(0, len(events) - deltas * framing - events.count(b"\\"))
            return
        found = _OUTPUT.findall(events)
        if len(found) == deltas:
            # Escapes of other events, such as a search's results, are none of the output.
            self.output_bytes += sum([len(each) - each.count(b"\\") for each in found])
            return
        for event in events.split(b"\n\n") if plain else _BETWEEN_EVENTS.split(events):
            if DELTA in event:
                self.count_delta(event[event.find(b"{") :])

    def count_delta(self, data: bytes) -> None:
        """Count the output of a delta, by its data; of one that is written as nobody does, by its size."""
        found = _OUTPUT.search(data)
        if found is not None:
            self.output_bytes += len(found[1]) - found[1].count(b"\\")
        elif not any(kind in data for kind in _NO_OUTPUT):
            self.output_bytes += max(0, len(data) - _DATA_FRAMING_BYTES)

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
