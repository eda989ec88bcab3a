"""A body that is plainly what the schema describes, read at once. Pure.

It is decoded as the type that its schema makes; a long one that is laid out as one before it, member by member.
"""

from typing import Any

import msgspec

from proxy.protocol import checks, json_members, layouts, model_places
from proxy.protocol.call import MESSAGES, Call
from proxy.protocol.member_names import check_names
from proxy.protocol.model_places import NamedModel

# Up to which size nobody counts a body's members; and how much may be looked through for models that it names.
_FEW_MEMBERS_BYTES = 1 << 18
_LOOKED_THROUGH_BYTES = 1 << 16
_SPACE = b" \t\r\n"
_ROUTED_BY = ("model", "stream", "max_tokens")


def read_at_once(body: bytes, schema_name: str, *, may_name: bool = False) -> Call | None:
    """Read a body that is plainly what the schema describes; None when it is not, or not plainly.

    Args:
        body: JSON text.
        schema_name: `MESSAGES` or `COUNT_TOKENS`.
        may_name: whether it may name further models, for which only short members are looked through.
    """
    try:
        decoder = checks.naming_decoder if may_name else checks.plain_decoder
        described = decoder(schema_name)(body)
    except msgspec.ValidationError:
        return None
    if not body.isascii():
        checks.check_utf8(body)
    read = json_members.read if len(body) <= _FEW_MEMBERS_BYTES else json_members.read_long
    members = read(body)
    if not members.keys() <= checks.harmless_names(schema_name):
        check_names(members.keys(), checks.checked_names(schema_name))
    named: tuple[NamedModel, ...] = ()
    spans: dict[str, json_members.Span] = {}
    if may_name:
        places = [
            name
            for name in model_places.MEMBERS
            if name in members and model_places.may_name(name, members[name])
        ]
        # A few elements may be looked through at once.
        if (
            "messages" in places
            or sum(len(members[name]) for name in places) > _LOOKED_THROUGH_BYTES
        ):
            return None
        spans = json_members.spans(body, members) or {}
        if not spans:
            return None
        named = model_places.find_all(body, {name: spans[name] for name in places})
    if not may_name:
        layouts.remember(body, members, schema_name)
    is_message = schema_name == MESSAGES
    stream = is_message and described.stream is True
    max_tokens = described.max_tokens if is_message else None
    return Call(body, described.model, stream, max_tokens, named, members, spans)


def read_as_supposed(
    body: bytes, spans: dict[str, json_members.Span], schema_name: str
) -> Call | None:
    """Read a body whose values stand where `layouts.suppose` says; None when they do not, or it is not plain."""
    decoders, view = checks.member_decoders(schema_name), memoryview(body)
    read: dict[str, Any] = {}
    try:
        # The shortest come first: there it shows soonest that they are not what was supposed.
        for name, (start, end) in sorted(spans.items(), key=_length):
            if body[start] in _SPACE or body[end - 1] in _SPACE:
                return None  # a value's place is that of its own bytes
            value = decoders.get(name, checks.decode_any)(view[start:end])
            if name in _ROUTED_BY:
                read[name] = value
    except (msgspec.DecodeError, RecursionError):
        return None
    if not body.isascii():
        checks.check_utf8(body)
    is_message = schema_name == MESSAGES
    return Call(
        body=body,
        model=read["model"],
        stream=is_message and read.get("stream") is True,
        max_tokens=read["max_tokens"] if is_message else None,
        spans=spans,
    )


def _length(member: tuple[str, json_members.Span]) -> int:
    start, end = member[1]
    return end - start
