"""Where else a request names models: the one list of such places. Pure.

The source is the types of the official Python SDK, 2.14.0: of everything that `beta/message_create_params.py` and
`beta/message_count_tokens_params.py` reach, these have a model that is used:

| type | place |
|---|---|
| `BetaAdvisorTool20260301Param`, a server tool | `tools[].model` |
| the same, defined in a message by `BetaToolChangeToolDefinitionParam` | `messages[].content[].tool.definition.model` |
| `BetaFallbackParam` | `fallbacks[].model` |
| `BetaFallbacksParam` | `fallbacks: "default"`: one that the API chooses |

The models in a `fallback` block of a message tell what has been; the API does not look at them. A tool of the client's
own, which is one without a `type` or of type `custom`, has no model; whatever it calls so passes.

Some readers take other spellings for these names (`member_names.py`). One that leads them to a model is refused.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from proxy.errors import InvalidRequest
from proxy.protocol import json_members, usual_names
from proxy.protocol.json_members import Span
from proxy.protocol.member_names import harmless_type, refuse_spelling, taken_for

_EACH = "[]"
# By the top-level member that holds them.
_PATHS: dict[str, tuple[str, ...]] = {
    "fallbacks": (_EACH, "model"),
    "tools": (_EACH, "model"),
    "messages": (_EACH, "content", _EACH, "tool", "definition", "model"),
}
MEMBERS = tuple(_PATHS)
# Beyond any client's: the API takes a few.
MAX_MODELS = 100
_MAX_TEXT_BYTES = 1 << 20
# There are no more names than colons: of so many it is quickly known that none is one of these places'.
_MAX_COLONS = 100_000
_MAX_ID_CHARS = 256  # as of `model`, in the schema

_OWN_TYPES = (None, "custom")
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_BEFORE_ITEM = re.compile(rb"[ \t\r\n]*+[,\[][ \t\r\n]*+")


_OF_TOOL: Any = dict[harmless_type("model", "type", but="type"), msgspec.Raw]  # type: ignore[misc] # made at run time
_OF_MESSAGE: Any = dict[harmless_type("content", but="content"), msgspec.Raw]  # type: ignore[misc] # as above
_OF_BLOCK: Any = dict[harmless_type("tool"), msgspec.Raw]  # type: ignore[misc] # as above
_MESSAGE: Any = msgspec.defstruct("_Message", [("content", str | list[_OF_BLOCK])], gc=False)
# Of what leads no reader to a model. What comes twice is looked at twice.
_HARMLESS = {
    "fallbacks": (msgspec.json.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)]),),
    "tools": (msgspec.json.Decoder(list[_OF_TOOL]),),
    "messages": (msgspec.json.Decoder(list[_OF_MESSAGE]), msgspec.json.Decoder(list[_MESSAGE])),
}


class NamedModel(NamedTuple):
    """A model that a request names beside its own.

    Attributes:
        path: as `fallbacks.0.model`.
        span: of its value in the body.
        model: the id; None: one that the API chooses.
    """

    path: str
    span: Span
    model: str | None


def without_models(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that also refuses every body that may name further models, as any reader reads it."""
    strict: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    properties, definitions = strict["properties"], strict.get("$defs", {})
    # An empty list names none: it also stands for one that was looked through in pieces.
    properties["fallbacks"] = {"type": ["array", "null"], "maxItems": 0}
    if "items" in properties.get("tools", ()):
        properties["tools"]["items"] = usual_names.TOOL
    if "message" in definitions:
        definitions["message"]["additionalProperties"] = False
        definitions["content_block"] = usual_names.BLOCK
    return strict


def may_name(member: str, text: bytes | msgspec.Raw) -> bool:
    """Return whether some reader may find a model in a member.

    Args:
        member: one of `MEMBERS`.
        text: its value, which is as its schema says; names over 64 characters may be cut.
    """
    text = bytes(text)
    if not text.startswith(b"["):
        return text.startswith(b'"')
    if text.count(b":") > _MAX_COLONS:
        return True
    try:
        for decoder in _HARMLESS[member]:
            decoder.decode(text)
    except msgspec.ValidationError:
        return True
    return False


def find_all(body: bytes, spans: dict[str, Span]) -> tuple[NamedModel, ...]:
    """Return the models that some members of a body name.

    Args:
        body: JSON text.
        spans: of the values of members that are among `MEMBERS`.

    Raises:
        InvalidRequest: too many, or as `find`.
    """
    found = (find(name, body[start:end], start) for name, (start, end) in spans.items())
    return tuple(take(itertools.chain.from_iterable(found)))


def take(found: Iterable[NamedModel]) -> list[NamedModel]:
    """Take what `find` finds, as long as it is not too much."""
    named = list(itertools.islice(found, MAX_MODELS + 1))
    refuse_too_many(named)
    return named


def refuse_too_many(named: Sequence[NamedModel]) -> None:
    """Refuse a body that names over `MAX_MODELS`."""
    if len(named) > MAX_MODELS:
        raise InvalidRequest(f"body: names over {MAX_MODELS} models")


def find(member: str, text: bytes, base: int, first: int = 0) -> Iterator[NamedModel]:
    """Find the models that a member names.

    Args:
        member: one of `MEMBERS`.
        text: its value, or an array of some of its elements; JSON.
        base: where `text` stands in the body.
        first: the index of the first of the elements.

    Raises:
        InvalidRequest: a model is no string, or readers may differ about what they read.
    """
    if len(text) > _MAX_TEXT_BYTES:
        raise InvalidRequest(f"{member}: over {_MAX_TEXT_BYTES} bytes beside a model that it names")
    if member == "fallbacks" and text.startswith(b'"'):
        yield NamedModel(member, (base, base + len(text)), None)
    else:
        yield from _find(text, base, _PATHS[member], member, first)


def _find(
    text: bytes, base: int, steps: tuple[str, ...], path: str, first: int = 0
) -> Iterator[NamedModel]:
    step, rest = steps[0], steps[1:]
    if step == _EACH and text.startswith(b"["):
        at = 0
        for index, item in enumerate(_ITEMS.decode(text), first):
            before = _BEFORE_ITEM.match(text, at)
            at = before.end() if before else at
            yield from _find(bytes(item), base + at, rest, f"{path}.{index}")
            at += len(item)
    elif step != _EACH and text.startswith(b"{") and (members := json_members.read(text)):
        if not (spellings := list(taken_for(members.keys(), step, path))):
            return
        # Of what comes twice, the last is read here, and the first elsewhere.
        spans = json_members.spans(text, members)
        if spans is None:
            raise InvalidRequest(f"{path}: a name comes twice, where a model may be named")
        spellings = [name for name in spellings if _holds(members[name], rest)]
        if not spellings:
            return
        if step == "model" and _is_own_tool(members, path):
            return
        for name in spellings:
            refuse_spelling(name, step, f"{path}.")
        start, end = spans[step]
        value, path = text[start:end], f"{path}.{step}"
        if rest:
            yield from _find(value, base + start, rest, path)
        else:
            yield NamedModel(path, (base + start, base + end), _id(value, path))


def _holds(value: msgspec.Raw, rest: tuple[str, ...]) -> bool:
    """Return whether a value may be, or hold, a model."""
    return memoryview(value)[0] in b"[{" if rest else bytes(value) != b"null"


def _is_own_tool(members: json_members.Members, path: str) -> bool:
    if path.startswith("fallbacks"):
        return False
    for name in taken_for(members.keys(), "type", path):
        refuse_spelling(name, "type", f"{path}.")
    return msgspec.json.decode(members.get("type", b"null")) in _OWN_TYPES


def _id(value: bytes, path: str) -> str:
    model = msgspec.json.decode(value)
    if not isinstance(model, str) or len(model) > _MAX_ID_CHARS:
        raise InvalidRequest(f"{path}: must be a string of {_MAX_ID_CHARS} characters at most")
    return model
