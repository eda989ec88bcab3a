"""Where the members of a body stand: supposed from a body like it, and proved by decoding each of them there. Pure.

A client writes its bodies in one order, without white space. Of an object whose names are known, in their order, each
value stands between one name and the next. When every text between them is one whole JSON value, then the object has
these members and no others, each once and spelled so: no value can end where a name begins that is inside of it. So
what is decoded for its types need not be decoded again for its members' places: a third of the work for a large body.
What is supposed wrongly shows while it is decoded, and costs little: a search, and the decoding of short members.
"""

import re

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
# By what bodies look like: their names, each with the text that leads to its value. The oldest comes first.
_kept: dict[_Kind, tuple[tuple[str, bytes], ...]] = {}


def remember(body: bytes, members: Members, schema_name: str) -> None:
    """Keep the layout of a body, for those like it, when its members stand there without white space, each once."""
    if len(body) < LEAST_BYTES or len(members) > _MAX_MEMBERS:
        return
    if not all(map(_NAME.fullmatch, members)) or not json_members.is_compact(body, members):
        return
    if len(_kept) >= _MAX_KEPT:
        _kept.pop(next(iter(_kept)), None)
    _kept[kind(body, schema_name)] = tuple(
        (name, b'%b"%b":' % (b"," if position else b"{", name.encode()))
        for position, name in enumerate(members)
    )


def suppose(body: bytes, schema_name: str) -> dict[str, Span] | None:
    """Return where a body's values stand if each text there is one JSON value; None: nothing is known."""
    if len(body) < LEAST_BYTES:
        return None
    known = _kept.get(kind(body, schema_name))
    if known is None or not body.startswith(known[0][1]) or not body.endswith(b"}"):
        return None
    starts, at = [len(known[0][1])], len(known[0][1])
    ends = []
    for _, opening in known[1:]:
        found = body.find(opening, at)
        if found < 0:
            return None
        ends.append(found)
        at = found + len(opening)
        starts.append(at)
    names = (name for name, _ in known)
    return dict(zip(names, zip(starts, [*ends, len(body) - 1], strict=True), strict=True))


def kind(body: bytes, schema_name: str) -> _Kind:
    """Return what tells bodies of one layout from others, mostly: a guess that is wrong costs time alone."""
    return schema_name, body[:_BEGINNING_BYTES], body[-_END_BYTES:], len(body).bit_length()
