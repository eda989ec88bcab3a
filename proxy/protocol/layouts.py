"""Where the members of a body stand: supposed from a body like it, and proved by decoding each of them there. Pure.

A client writes its bodies in one order, without white space. Of an object whose names are known, in their order, each
value stands between one name and the next. When every text between them is one whole JSON value, then the object has
these members and no others, each once and spelled so: no value can end where a name begins that is inside of it. So
what is decoded for its types need not be decoded again for its members' places: a third of the work for a large body.
What is supposed wrongly shows while it is decoded, mostly in short members, which come first; then it is read as ever.
"""

import re
from typing import NamedTuple

from proxy.protocol import json_members
from proxy.protocol.json_members import Members, Span

# Of smaller bodies both readings take no time.
LEAST_BYTES = 1 << 14
_MAX_KEPT = 128
_MAX_MEMBERS = 40
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BEGINNING_BYTES = 16
_END_BYTES = 2

_Kind = tuple[str, bytes, bytes, int]


class _Layout(NamedTuple):
    """The names of members, each with the text that leads to its value; and which of them was the longest."""

    openings: tuple[tuple[str, bytes], ...]
    longest: int


# By what bodies look like. The oldest comes first.
_kept: dict[_Kind, _Layout] = {}


def remember(body: bytes, members: Members, schema_name: str) -> None:
    """Keep the layout of a body, for those like it, when its members stand there without white space, each once."""
    if len(body) < LEAST_BYTES or len(members) > _MAX_MEMBERS:
        return
    if not all(map(_NAME.fullmatch, members)) or not json_members.is_compact(body, members):
        return
    key = kind(body, schema_name)
    _kept.pop(key, None)
    if len(_kept) >= _MAX_KEPT:
        _kept.pop(next(iter(_kept)), None)
    lengths = list(map(len, members.values()))
    openings = (
        (name, b'%b"%b":' % (b"," if position else b"{", name.encode()))
        for position, name in enumerate(members)
    )
    _kept[key] = _Layout(tuple(openings), lengths.index(max(lengths)))


def suppose(body: bytes, schema_name: str) -> dict[str, Span] | None:
    """Return where a body's values stand if each text there is one JSON value; None: nothing is known."""
    if len(body) < LEAST_BYTES:
        return None
    known = _kept.get(kind(body, schema_name))
    if known is None or not body.startswith(known.openings[0][1]) or body[-1:] != b"}":
        return None
    # To search takes as long as to decode: so the longest is not searched, but come to from both of its ends.
    at = len(known.openings[0][1])
    starts, ends = [at], []
    for _, opening in known.openings[1 : known.longest + 1]:
        found = body.find(opening, at)
        if found < 0:
            return None
        ends.append(found)
        at = found + len(opening)
        starts.append(at)
    until = len(body) - 1
    behind: list[Span] = []
    for _, opening in reversed(known.openings[known.longest + 1 :]):
        found = body.rfind(opening, at, until)
        if found < 0:
            return None
        behind.append((found + len(opening), until))
        until = found
    spans = [*zip(starts, [*ends, until], strict=True), *reversed(behind)]
    return dict(zip((name for name, _ in known.openings), spans, strict=True))


def kind(body: bytes, schema_name: str) -> _Kind:
    """Return what tells bodies of one layout from others, mostly: a guess that is wrong costs time alone."""
    return schema_name, body[:_BEGINNING_BYTES], body[-_END_BYTES:], len(body).bit_length()
