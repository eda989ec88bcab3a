"""Read a JSON object with Python's own decoder: its top-level members in order, and where the value of each stands."""

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DEEPER = 30_000
_EXACT_DIGITS = 4000
_SPACE = " \t\r\n"
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[\]{}]")


class Unreadable(Exception):
    """No JSON object by the letter of RFC 8259, or not UTF-8."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One member: its name, its value, and the bytes that the value is written with."""

    name: str
    value: Any
    start: int
    end: int


def _refuse(word: str) -> Any:
    raise Unreadable(f"no JSON: {word}")


def _integer(digits: str) -> float:
    # Python refuses to convert more digits; what so large a number is exactly, no check here asks.
    return int(digits) if len(digits) < _EXACT_DIGITS else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)


def members(body: bytes) -> list[Member]:
    """Read the members of an object, doubled names and all.

    Raises:
        Unreadable: it is none.
    """
    try:
        text = body.decode()
        with _deep():
            return list(_members(text))
    except (ValueError, IndexError, StopIteration, RecursionError) as error:
        raise Unreadable(str(error)) from None


def depth(body: bytes) -> int:
    """Count how deep a text that `members` has read is nested, also where a later member of a name hides it."""
    open_, deepest = 0, 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        open_ += 1 if bracket in b"[{" else -1
        deepest = max(deepest, open_)
    return deepest


def strings(body: bytes) -> list[str]:
    """Give the texts of an object that `members` has read, those of names that come twice as well.

    Those of numbers, too: they hold nothing that a text may not.
    """
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> list[Any]:
        found.extend(name for name, _ in pairs)
        return [value for _, value in pairs]

    with _deep():
        waiting = [json.loads(body, object_pairs_hook=note, parse_int=str)]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str):
            found.append(each)
    return found


def _members(text: str) -> Iterator[Member]:
    index = _past_space(text, 0)
    if text[index] != "{":
        raise Unreadable("no object")
    index = _past_space(text, index + 1)
    offset, counted = 0, 0  # the same place in bytes

    def in_bytes(place: int) -> int:
        nonlocal offset, counted
        offset += len(text[counted:place].encode())
        counted = place
        return offset

    if text[index] == "}":
        return _ended(text, index)
    while True:
        if text[index] != '"':
            raise Unreadable("no name")
        name, index = _DECODER.raw_decode(text, index)
        index = _past_space(text, index)
        if text[index] != ":":
            raise Unreadable("no colon")
        start = _past_space(text, index + 1)
        value, index = _DECODER.raw_decode(text, start)
        yield Member(name, value, in_bytes(start), in_bytes(index))
        index = _past_space(text, index)
        if text[index] == "}":
            return _ended(text, index)
        if text[index] != ",":
            raise Unreadable("no comma")
        index = _past_space(text, index + 1)


def _ended(text: str, index: int) -> None:
    if _past_space(text, index + 1) != len(text):
        raise Unreadable("something behind the object")


def _past_space(text: str, index: int) -> int:
    while index < len(text) and text[index] in _SPACE:
        index += 1
    return index


@contextmanager
def _deep() -> Iterator[None]:
    """Let this reader go deeper than the one it is compared with."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_DEEPER)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
