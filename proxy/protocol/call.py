"""A request's body: bytes in, a checked `Call` out. Pure.

Nearly every body is decoded at once, as the type that its schema makes. What is not of that type, names further
models, or is large, is read with care: in steps, between which others run, none of which takes 50 ms of any body.
"""

import itertools
import re
from collections.abc import Generator, Iterable, Sequence

import msgspec

from proxy.errors import InvalidRequest
from proxy.protocol import checks, json_members, model_places
from proxy.protocol.checks import COUNT_TOKENS, MESSAGES
from proxy.protocol.json_slices import Piece, Slices
from proxy.protocol.member_names import check_names
from proxy.protocol.model_places import NamedModel

__all__ = ["COUNT_TOKENS", "MESSAGES", "Call", "parse_call", "parse_steps"]

# The largest that is decoded at once, as its type; up to which size nobody counts its objects, nor its members; and the
# largest that is decoded whole, of any type.
_AT_ONCE_BYTES = 1 << 21
_UNCOUNTED_BYTES = 1 << 19
_FEW_MEMBERS_BYTES = 1 << 18
_WHOLE_BYTES = 1 << 16
_AT_ONCE_OBJECTS = 15_000

# Whose few elements may be looked through for models at once.
_FEW = ("fallbacks", "tools")
_SMALLEST = b'{"model":"m","messages":[],"max_tokens":0'
_BYTE = re.compile(r" \(byte \d+\)$")
_FIRST_INDEX = re.compile(r"(?<=\.)\d+")


class Call(msgspec.Struct, frozen=True):
    """A checked request.

    Attributes:
        body: the JSON text as the client sent it, decoded from any Content-Encoding; a large one with doubled names
            written anew.
        model: the id the client asked for.
        stream: whether it asked for server-sent events; False for count_tokens, whose answers are whole.
        max_tokens: None for count_tokens, which has none.
        named: the models it names beside its own. `named_upstream_models`: what each is called upstream; None: as here.
        members: its top-level members, each with its own bytes; empty when `model_span` is known.
        model_span: where the value of `model` stands; None: not looked for yet.
    """

    body: bytes
    model: str
    stream: bool
    max_tokens: int | None
    named: tuple[NamedModel, ...] = ()
    named_upstream_models: tuple[str | None, ...] = ()
    members: json_members.Members = {}
    model_span: json_members.Span | None = None

    def naming(self, upstream_models: tuple[str | None, ...]) -> "Call":
        """Return this call, knowing what each of `named` is called upstream."""
        return msgspec.structs.replace(self, named_upstream_models=upstream_models)

    def body_for(self, upstream_model: str) -> tuple[bytes | memoryview, ...]:
        """Return the outbound body, in pieces: this one, naming the upstream's model ids."""
        model = msgspec.json.encode(upstream_model)
        if self.model_span is None:
            return json_members.spliced(self.body, self.members, "model", model)
        edits = [(self.model_span, model)]
        for place, other in zip(self.named, self.named_upstream_models, strict=True):
            if other is not None:
                edits.append((place.span, msgspec.json.encode(other)))
        return json_members.edited(self.body, edits)


def parse_call(body: bytes, schema_name: str) -> Call:
    """Check a body as `parse_steps` does, without a pause."""
    steps = parse_steps(body, schema_name)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            call: Call = finished.value
            return call


def parse_steps(body: bytes, schema_name: str) -> Generator[None, None, Call]:
    """Check a body against a schema, and read what routing needs.

    Args:
        body: JSON text.
        schema_name: `MESSAGES` or `COUNT_TOKENS`.

    Yields:
        None: a pause in which others may run. Before the first, nothing has taken long.

    Raises:
        InvalidRequest: not JSON, not UTF-8, nested too deep, over a bound, or not what the schema describes.
    """
    try:
        call = None
        if len(body) <= _UNCOUNTED_BYTES or _is_cheap(body):
            call = _parse_at_once(body, schema_name, may_name=False)
            if call is None:
                yield
                call = _parse_at_once(body, schema_name, may_name=True)
        if call is None:
            yield
            call = yield from _parse_with_care(body, schema_name)
    except RecursionError:
        raise InvalidRequest("body: nested too deep") from None
    except UnicodeDecodeError:
        raise InvalidRequest("body: not UTF-8") from None
    except msgspec.DecodeError as error:
        # A slice counts its own bytes.
        said = str(error) if len(body) <= _WHOLE_BYTES else _BYTE.sub("", str(error))
        raise InvalidRequest(f"body: not valid JSON: {said}") from None
    return call


def _is_cheap(body: bytes) -> bool:
    return len(body) <= _AT_ONCE_BYTES and body.count(b"{") <= _AT_ONCE_OBJECTS


def _parse_at_once(body: bytes, schema_name: str, *, may_name: bool) -> Call | None:
    """Read a body that is plainly what the schema describes; None when it is not, or not plainly.

    Args:
        body: as for `parse_steps`.
        schema_name: as for `parse_steps`.
        may_name: whether it may name further models, of which only a few members are looked through.
    """
    try:
        described = checks.decoder(
            schema_name, ("messages",) if may_name else model_places.MEMBERS
        )(body)
    except msgspec.ValidationError:
        return None
    if not body.isascii():
        checks.check_utf8(body)
    read = json_members.read if len(body) <= _FEW_MEMBERS_BYTES else json_members.read_long
    members = read(body)
    check_names(members.keys(), checks.checked_names(schema_name))
    named: tuple[NamedModel, ...] = ()
    span = None
    if may_name:
        texts = [members.get(name, b"") for name in _FEW]
        if sum(map(len, texts)) > _WHOLE_BYTES:
            return None
        spans = json_members.spans(body, members)
        if spans is None:
            return None
        named = _named(body, {name: spans[name] for name in _FEW if name in spans})
        span = spans["model"]
    is_message = schema_name == MESSAGES
    return Call(
        body=body,
        model=described.model,
        stream=is_message and described.stream is True,
        max_tokens=described.max_tokens if is_message else None,
        named=named,
        members=members,
        model_span=span,
    )


def _parse_with_care(body: bytes, schema_name: str) -> Generator[None, None, Call]:
    """Read any body, a step at a time."""
    if len(body) <= _WHOLE_BYTES:
        checks.check(body, schema_name)
        yield
    slices = Slices(body)
    named: list[NamedModel] = []
    for piece in slices.steps():
        if piece is not None:
            named += _check_piece(body, piece, schema_name)
        yield
    outline = slices.outline()
    decoded = checks.check(outline.text, schema_name)
    yield
    spans = dict(outline.members)
    check_names(spans.keys(), checks.checked_names(schema_name))
    checks.check_lengths(outline.lengths)
    short = json_members.read(outline.text)
    for name in model_places.MEMBERS:
        if name in spans and not _is_plain(name, bytes(short[name]), schema_name):
            named += _named(body, {name: spans[name]})
    _refuse_too_many(named)
    if len(spans) < len(outline.members):
        if named:
            raise InvalidRequest("body: a name comes twice, where further models are named")
        body, spans = json_members.rewritten(body, spans)
    is_message = schema_name == MESSAGES
    return Call(
        body=body,
        model=decoded["model"],
        stream=is_message and decoded.get("stream") is True,
        # JSON Schema counts 8.0 among the integers, and count_tokens does not look at the field.
        max_tokens=int(decoded["max_tokens"]) if is_message else None,
        named=tuple(named),
        model_span=spans["model"],
    )


def _check_piece(body: bytes, piece: Piece, schema_name: str) -> list[NamedModel]:
    """Check some elements of a member as a body of their own, and return the models they name."""
    if _is_plain(piece.name, piece.text, schema_name):
        return []
    try:
        checks.check(_alone(piece.name, piece.text), schema_name)
    except InvalidRequest as error:
        # It counts from the piece's first element.
        found = _FIRST_INDEX.search(error.message)
        index = piece.first + int(found[0]) if found else piece.first
        raise InvalidRequest(_FIRST_INDEX.sub(str(index), error.message, count=1)) from None
    if piece.name not in model_places.MEMBERS:
        return []
    start, end = piece.span
    elements = b"%b%b%b" % (piece.text[:1], body[start:end], piece.text[-1:])
    return _bounded(model_places.find(piece.name, elements, start - 1, piece.first))


def _is_plain(name: str, value: bytes, schema_name: str) -> bool:
    """Return whether a member is plainly what the schema describes, and names no models."""
    return checks.is_described(_alone(name, value), schema_name, model_places.MEMBERS)


def _alone(name: str, value: bytes) -> bytes:
    """Write a body that has little else than one member."""
    return b"%b,%b:%b}" % (_SMALLEST, msgspec.json.encode(name), value)


def _named(body: bytes, spans: dict[str, json_members.Span]) -> tuple[NamedModel, ...]:
    """Return the models that members name."""
    found = (
        model_places.find(name, body[start:end], start) for name, (start, end) in spans.items()
    )
    return tuple(_bounded(itertools.chain.from_iterable(found)))


def _bounded(found: Iterable[NamedModel]) -> list[NamedModel]:
    """Take what a generator finds, as long as it is not too much."""
    named = list(itertools.islice(found, model_places.MAX_MODELS + 1))
    _refuse_too_many(named)
    return named


def _refuse_too_many(named: Sequence[NamedModel]) -> None:
    if len(named) > model_places.MAX_MODELS:
        raise InvalidRequest(f"body: names over {model_places.MAX_MODELS} models")
