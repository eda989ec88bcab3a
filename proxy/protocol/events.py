"""Server-sent events as the HTML standard reads them: lines that end with LF, CRLF or CR, in any mixture. Pure.

Two line ends, one behind the other, end an event. CRLF is one: so a blank line shows as LF LF, LF CR or CR CR, and an
LF behind such a CR belongs to it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

_BLANK_LINES = (b"\n\n", b"\n\r", b"\r\r")
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|$)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NAME = b"data"
_NAMED, _DATA = b"event: ", b"data: "


class Event(NamedTuple):
    """One event's data.

    Attributes:
        data: its lines, joined by LF.
        places: where each line's value stands, start and end.
    """

    data: bytes
    places: list[tuple[int, int]]

    def replaced_in(self, text: bytes, data: bytes) -> bytes:
        """Return the text that the event was split from, with other data of as many lines."""
        out, position = [], 0
        for (start, end), line in zip(self.places, data.split(b"\n"), strict=True):
            out += [text[position:start], line]
            position = end
        return b"".join((*out, text[position:]))


def first_end(text: bytes | bytearray) -> int:
    """Return where the first event ends, its blank line included; -1 when none does."""
    found = [at for mark in _BLANK_LINES if (at := text.find(mark)) >= 0]
    return _behind(text, min(found) + 2) if found else -1


def last_end(text: bytes | bytearray, start: int) -> int:
    """Return where the last whole event ends, its blank line included; -1 when none does behind `start`."""
    found = max(text.rfind(mark, start) for mark in _BLANK_LINES)
    return _behind(text, found + 2) if found >= 0 else -1


def is_blank(text: bytes | bytearray) -> bool:
    """Return whether a text holds line ends only: then it lies between two events."""
    return not text.strip(b"\r\n")


def split(text: bytes, *, begins: bool) -> Iterator[Event]:
    """Yield the events that have data; the last one also when its blank line is missing.

    Args:
        text: of a stream.
        begins: whether it begins the stream, so that a byte order mark may stand there.
    """
    lines: list[bytes] = []
    places: list[tuple[int, int]] = []
    marked = begins and text.startswith(_BYTE_ORDER_MARK)
    position = len(_BYTE_ORDER_MARK) if marked else 0
    while position < len(text):
        if not lines and (plain := _plain(text, position)) is not None:
            start, end = plain
            yield Event(text[start:end], [plain])
            position = end + 2
            continue
        match = _LINE.match(text, position)
        if match is None:
            break
        line, position = match[1], match.end()
        name, colon, value = line.partition(b":")
        if name == _NAME:
            value = value.removeprefix(b" ")
            lines.append(value)
            places.append((match.end(1) - len(value), match.end(1)))
        if not line and not colon and lines:
            yield Event(b"\n".join(lines), places)
            lines, places = [], []
    if lines:
        yield Event(b"\n".join(lines), places)


def _plain(text: bytes, position: int) -> tuple[int, int] | None:
    """Return where the data of the next event stands that has a name, one line of data and LFs, as the API writes them.

    None: it is not of that shape, or does not end here.
    """
    if not text.startswith(_NAMED, position):
        return None
    # No further than these two lines, so that a text is looked through once, whatever it is.
    start = text.find(b"\n", position) + 1
    if not start or not text.startswith(_DATA, start):
        return None
    end = text.find(b"\n", start)
    if end < 0 or not text.startswith(b"\n", end + 1) or text.find(b"\r", position, end) >= 0:
        return None
    return start + len(_DATA), end


def decode(data: bytes) -> Any:
    """Decode an event's data; None when it is not JSON. Half of a surrogate pair, which msgspec refuses, is."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return json.loads(data.decode())
        except (ValueError, RecursionError):
            return None


def _behind(text: bytes | bytearray, end: int) -> int:
    return end + 1 if text[end - 1 : end + 1] == b"\r\n" else end
