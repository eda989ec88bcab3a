"""JSON strings of any length, decoded a slice at a time. Pure.

One long string full of escapes takes a decoder 100 ms for 32 MB, without a pause.
"""

import re
from collections.abc import Generator

import msgspec

_SLICE_BYTES = 1 << 18
_LONGEST_UNIT_BYTES = 12
# What a string is made of, some thousands at a time, since each costs a place on the matcher's stack. It ends before an
# escape, or a pair of them, that is not whole.
_UNITS = re.compile(
    rb'(?:[^"\\\x00-\x1f]+|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}){0,4000}"
)
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*+(?=")')
_DECODER = msgspec.json.Decoder(str)


def read(text: bytes, start: int, kept_bytes: int) -> Generator[None, None, tuple[int, bytes]]:
    """Find the end of a string, and check it when it is long.

    Args:
        text: holds it.
        start: where it begins, behind its quote.
        kept_bytes: up to this length a string is given whole, and not checked.

    Yields:
        None: a pause, after each slice of a very long one.

    Returns:
        Where it ends, at its quote; and the string without its quotes, a long one cut to about `kept_bytes`.

    Raises:
        msgspec.DecodeError: it is none, or has no end.
        UnicodeDecodeError: it is not UTF-8.
    """
    if plain := _PLAIN.match(text, start, start + _SLICE_BYTES):
        kept, end = plain[0], plain.end()
        if len(kept) > kept_bytes:
            str(kept, "utf-8")
            kept = kept[: _character_end(text, start, start + kept_bytes) - start]
        return end, kept
    end = _units_end(text, start, start + kept_bytes)
    kept = text[start:end]
    begin = start
    while not _has_ended(text, end):
        if end == begin:
            # What stands here is part of no string: let the decoder say why.
            _check(text[begin : begin + _LONGEST_UNIT_BYTES])
            raise msgspec.DecodeError("Input data was truncated")
        _check(text[begin:end])
        if end - begin > _SLICE_BYTES // 2:
            yield
        begin = end
        end = _units_end(text, begin, begin + _SLICE_BYTES)
    if begin > start:
        _check(text[begin:end])
    return end, kept


def _units_end(text: bytes, start: int, limit: int) -> int:
    """Return where the units from `start` end, at `limit` at the latest, and never inside a character."""
    end = start
    while (found := _UNITS.match(text, end, limit)) is not None and found.end() > end:
        end = found.end()
    return _character_end(text, start, end) if end == limit else end


def _character_end(text: bytes, start: int, end: int) -> int:
    """Return the last place up to `end` that is inside no character."""
    # In UTF-8 no character has more than three bytes behind its first.
    for _ in range(3):
        if end > start and end < len(text) and text[end] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's marks
            end -= 1
    return end


def _has_ended(text: bytes, end: int) -> bool:
    return text[end : end + 1] == b'"'


def _check(units: bytes) -> None:
    """Decode a part of a string.

    Raises:
        msgspec.DecodeError: it is none.
        UnicodeDecodeError: it is not UTF-8.
    """
    _DECODER.decode(b'"%b"' % units)
