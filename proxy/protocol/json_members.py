"""The members of a JSON object, each with its own bytes. Pure.

Facts: `msgspec.Raw` members are views of the input, so nothing inside a member is ever re-encoded. A dict keeps
one member per name, the last, at the first one's place; JSON itself lets a name come twice, and readers differ in
which one they believe (RFC 8259 section 4). A body with doubled names is therefore written anew, one member per name,
so that what was checked is what is served. Measured on a 122 kB request, CPython 3.11: reading 56 µs, replacing 9 µs.
"""

import functools
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate

import msgspec

from proxy.errors import InvalidRequest

Members = dict[str, msgspec.Raw]
# Where a value stands in a text.
Span = tuple[int, int]

# Beyond any client's.
MAX_MEMBERS = 1000
MAX_NAME_BYTES = 1024

_DECODER = msgspec.json.Decoder(Members)
# Possessive: a pattern that may go back keeps a place to go back to for each byte of a name.
_NAME = re.compile(
    rb'[{,][ \t\r\n]*+("[^"\\]*+(?:\\.[^"\\]*+)*")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL
)
_WORD = re.compile(rb'"([A-Za-z0-9_.-]{1,64})"')
MAX_WORD_BYTES = 66
_SPACE = re.compile(rb"[ \t\r\n]*+")
_CACHED_NAME_BYTES = 512


def read(body: bytes) -> Members:
    """Read the members of an object.

    Raises:
        msgspec.DecodeError: `body` is not a JSON object.
        UnicodeDecodeError: a name is not UTF-8. Bytes inside values are not checked.
    """
    return _DECODER.decode(body)


def word(value: bytes) -> str | None:
    """Return what a value says that is one plain word; None: it is something else."""
    found = _WORD.fullmatch(value)
    return found[1].decode() if found is not None else None


class _Name(str):
    """A name that is counted: the decoder asks for one as a type of its own."""

    __slots__ = ()


def read_long(body: bytes) -> Members:
    """Read the members of an object that may have a million, of which reading would take 200 ms.

    Raises:
        InvalidRequest: over `MAX_MEMBERS`.
        msgspec.DecodeError, UnicodeDecodeError: as `read`.
    """
    left = iter(range(MAX_MEMBERS))

    def take(kind: type, name: str) -> str:
        if next(left, None) is None:
            raise InvalidRequest(f"body: over {MAX_MEMBERS} members")
        return str.__new__(kind, name)

    decoder = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=take)
    return {str(name): raw for name, raw in decoder.decode(body).items()}


def replace(body: bytes, members: Members, name: str, value: bytes) -> bytes:
    """Return what `splice` returns, in one piece."""
    return b"".join(splice(body, members, name, value))


def splice(
    body: bytes, members: Members, name: str, value: bytes
) -> tuple[bytes | memoryview, ...]:
    """Return `body` with the value of one member replaced and every other byte as it was.

    Args:
        body: the object.
        members: what `read(body)` gave; has `name`.
        name: the member to replace.
        value: JSON text to put in its place.

    Returns:
        The new object, in pieces, so that a long one is not copied. When a name comes twice in `body`: its members
        written anew, the last of each name.
    """
    place = span(body, members, name)
    if place is None:
        return (_write({**members, name: msgspec.Raw(value)}),)
    view = memoryview(body)
    return view[: place[0]], value, view[place[1] :]


def is_compact(body: bytes, members: Members) -> bool:
    """Return whether `body` has neither white space between its members nor a name twice, nor one with escapes."""
    name = next(iter(members), None)
    lengths = sum(map(len, members.values()))
    return name is not None and len(body) - lengths == _layout(tuple(members), name)[2]


def span(body: bytes, members: Members, name: str) -> Span | None:
    """Find where the value of one member stands in `body`; None when a name comes twice."""
    lengths = list(map(len, members.values()))
    spent = len(body) - sum(lengths)
    layout = _short_layout if spent <= _CACHED_NAME_BYTES else _layout
    index, before, compact = layout(tuple(members), name)
    if spent == compact:
        # As long as it is without white space and doubled names: so it has neither, and each value's place is known.
        start = before + sum(lengths[:index])
        return start, start + lengths[index]
    found = spans(body, members)
    return None if found is None else found[name]


def edit(body: bytes, edits: Iterable[tuple[Span, bytes]]) -> tuple[bytes | memoryview, ...]:
    """Return `body` with the texts at some spans replaced, in pieces."""
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    done = 0
    for (start, end), value in sorted(edits):
        pieces += view[done:start], value
        done = end
    return (*pieces, view[done:])


def move(values: dict[str, Span], edits: Iterable[tuple[Span, bytes]]) -> dict[str, Span]:
    """Return where values stand once texts inside of some of them are replaced, as by `edit`."""
    done = sorted(edits)
    ends = [end for (_, end), _ in done]
    more = [0, *accumulate(len(value) - (end - start) for (start, end), value in done)]
    return {
        name: (start + more[bisect_right(ends, start)], end + more[bisect_right(ends, end)])
        for name, (start, end) in values.items()
    }


def rewrite(body: bytes, values: dict[str, Span]) -> tuple[bytes, dict[str, Span]]:
    """Write an object anew, of the values at these spans, without white space; return it and its own spans."""
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    found: dict[str, Span] = {}
    at = 0
    for name, (start, end) in values.items():
        opening = (b"," if pieces else b"{") + _encode_name(name)
        at += len(opening)
        found[name] = at, at + end - start
        at += end - start
        pieces += opening, view[start:end]
    return b"".join((*pieces, b"}")), found


def without(
    body: bytes, names: Collection[str], values: dict[str, Span]
) -> tuple[bytes, dict[str, Span]]:
    """Return an object without some of its members; without white space between the others when there were any.

    Args:
        body: the object.
        names: of these members.
        values: where all its values stand, as `places` or `spans` say.

    Returns:
        The new object, and where its values stand.
    """
    if values.keys().isdisjoint(names):
        return body, values
    return rewrite(body, {name: each for name, each in values.items() if name not in names})


def places(body: bytes) -> tuple[bytes, dict[str, Span]]:
    """Return an object, and where its values stand; one in which a name comes twice, written anew.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: as `read`.
    """
    members = read(body)
    found = spans(body, members)
    if found is None:
        body = _write(members)
        found = spans(body, members) or {}
    return body, found


def _write(members: Members) -> bytes:
    return b"{%b}" % b",".join(_encode_name(name) + bytes(raw) for name, raw in members.items())


def spans(body: bytes, members: Members) -> dict[str, Span] | None:
    """Find where each value stands in `body`; None when a name comes twice."""
    position = _space(body, 0)
    found: dict[str, Span] = {}
    for expected, raw in members.items():
        match = _NAME.match(body, position)
        if match is None:
            return None
        start = match.end()
        end = start + memoryview(raw).nbytes
        # A doubled name shows as another name, or another value, than the dict has at this place.
        if _name(match[1]) != expected or not body.startswith(raw, start):
            return None
        found[expected] = start, end
        position = _space(body, end)
    return found if body[position : position + 1] == b"}" else None


def _layout(names: tuple[str, ...], name: str) -> tuple[int, int, int]:
    """Return how an object of these members is written without white space.

    Returns:
        The index of `name`; the bytes before its value, and the bytes of the whole, both without any values.
        A name that must be escaped can be spelled in several ways: then the last is -1.
    """
    openings = [_encode_name(each) for each in names]
    index = names.index(name)
    before = sum(map(len, openings[: index + 1])) + 1 + index
    compact = sum(map(len, openings)) + 1 + len(openings)
    return index, before, -1 if any(b"\\" in opening for opening in openings) else compact


# Clients choose the names: only short ones are kept, so that nobody can fill the memory with them.
_short_layout = functools.lru_cache(maxsize=256)(_layout)


def _name(quoted: bytes) -> str:
    return msgspec.json.decode(quoted, type=str)


def _encode_name(name: str) -> bytes:
    return msgspec.json.encode(name) + b":"


def _space(body: bytes, position: int) -> int:
    match = _SPACE.match(body, position)
    return match.end() if match else position
