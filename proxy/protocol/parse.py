"""A request's body: bytes in, a checked `Call` out. Pure.

Nearly every body is decoded at once (`at_once.py`). What is not plain, names further models, or is large, is read with
care: in steps, between which others run, none of which takes 50 ms of any body.
"""

import re
from collections.abc import Generator

import msgspec

from proxy.errors import InvalidRequest
from proxy.protocol import checks, json_members, layouts, model_places
from proxy.protocol.at_once import read_as_supposed, read_at_once
from proxy.protocol.call import MESSAGES, Call
from proxy.protocol.json_pieces import Piece
from proxy.protocol.json_slices import Slices
from proxy.protocol.member_names import check_names
from proxy.protocol.model_places import NamedModel

# Up to which size a body is checked at once, whatever else there is to do; the largest that is decoded at once, as its
# type; up to which size nobody counts its objects; and the largest that is decoded whole, of any type.
_SMALL_BYTES = 1 << 12
_AT_ONCE_BYTES = 1 << 21
_UNCOUNTED_BYTES = 1 << 19
_WHOLE_BYTES = 1 << 16
_AT_ONCE_OBJECTS = 15_000

_BYTE = re.compile(r" \(byte \d+\)$")
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FIRST_INDEX = re.compile(r"(?<=\.)\d+")


def parse_small(body: bytes, schema_name: str) -> Call | None:
    """Check a body as `parse_steps` does, when it is small and plain: so fast that nobody needs a pause; else None.

    Raises:
        InvalidRequest: as `parse_steps`.
    """
    if len(body) > _SMALL_BYTES:
        return None
    try:
        return read_at_once(body, schema_name)
    except _NO_JSON as error:
        raise _refusal(body, error) from None


def parse_call(body: bytes, schema_name: str) -> Call:
    """Check a body as `parse_steps` does, without a pause."""
    if (small := parse_small(body, schema_name)) is not None:
        return small
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
        if _is_cheap(body):
            if (spans := layouts.suppose(body, schema_name)) is not None:
                call = read_as_supposed(body, spans, schema_name)
                if call is None:
                    yield
            if call is None:
                call = read_at_once(body, schema_name)
            if call is None:
                yield
                call = read_at_once(body, schema_name, may_name=True)
        if call is None:
            yield
            call = yield from _parse_with_care(body, schema_name)
    except _NO_JSON as error:
        raise _refusal(body, error) from None
    return call


def _refusal(body: bytes, error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return InvalidRequest("body: nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest("body: not UTF-8")
    # A slice counts its own bytes.
    said = str(error) if len(body) <= _WHOLE_BYTES else _BYTE.sub("", str(error))
    return InvalidRequest(f"body: not valid JSON: {said}")


def _is_cheap(body: bytes) -> bool:
    if len(body) <= _UNCOUNTED_BYTES:
        return True
    if len(body) > _AT_ONCE_BYTES:
        return False
    # To take them out shows how many there are, in a quarter of the time that counting them takes.
    without = body.replace(b"{", b"", _AT_ONCE_OBJECTS + 1)
    return len(body) - len(without) <= _AT_ONCE_OBJECTS


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
        if name in spans and model_places.may_name(name, short[name]):
            named += model_places.find_all(body, {name: spans[name]})
    model_places.refuse_too_many(named)
    if len(spans) < len(outline.members):
        if named:
            raise InvalidRequest("body: a name comes twice, where further models are named")
        body, spans = json_members.rewrite(body, spans)
    is_message = schema_name == MESSAGES
    return Call(
        body=body,
        model=decoded["model"],
        stream=is_message and decoded.get("stream") is True,
        # JSON Schema counts 8.0 among the integers, and count_tokens does not look at the field.
        max_tokens=int(decoded["max_tokens"]) if is_message else None,
        named=tuple(named),
        spans=spans,
    )


def _check_piece(body: bytes, piece: Piece, schema_name: str) -> list[NamedModel]:
    """Check some elements of a member as a body of their own, and return the models they name."""
    if checks.is_plain(piece.name, piece.text, schema_name):
        return []
    try:
        checks.check(checks.alone(piece.name, piece.text), schema_name)
    except InvalidRequest as error:
        # It counts from the piece's first element.
        found = _FIRST_INDEX.search(error.message)
        index = piece.first + int(found[0]) if found else piece.first
        raise InvalidRequest(_FIRST_INDEX.sub(str(index), error.message, count=1)) from None
    if piece.name not in model_places.MEMBERS or not model_places.may_name(piece.name, piece.text):
        return []
    start, end = piece.span
    elements = b"%b%b%b" % (piece.text[:1], body[start:end], piece.text[-1:])
    return model_places.take(model_places.find(piece.name, elements, start - 1, piece.first))
