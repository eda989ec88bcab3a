"""A request's body: bytes in, a checked `Call` out. Pure.

Two validators read the same schema files. `jsonschema-rs` accepts or refuses (2 µs on a 122 kB body, 90 µs on
600 messages) and finds the place; `jsonschema` words what is wrong there, on the failing value alone, because on a
whole 1 MB request it would hold the event loop for 40 ms.
"""

import functools
import gc
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec

from proxy import json_members, schema_files
from proxy.errors import InvalidRequest

MESSAGES = "messages-request"
COUNT_TOKENS = "count-tokens-request"

# A body over this is decoded with care for others: its values are counted before.
LARGE_BYTES = 1 << 18
MAX_VALUES = 1_000_000

_SMALL_BYTES = 1 << 14

_SHOWN_CHARS = 60
_SAID_CHARS = 200

_decoded = msgspec.json.Decoder().decode


class Call(msgspec.Struct, frozen=True):
    """A checked request.

    Attributes:
        body: the JSON text as the client sent it, decoded from any Content-Encoding.
        members: its top-level members, each with its own bytes.
        model: the id the client asked for.
        stream: whether it asked for server-sent events.
        max_tokens: None for count_tokens, which has none.
    """

    body: bytes
    members: json_members.Members
    model: str
    stream: bool
    max_tokens: int | None

    def body_for(self, upstream_model: str) -> bytes:
        """Give the outbound body: this one, naming the upstream's model id."""
        return json_members.replace(
            self.body, self.members, "model", msgspec.json.encode(upstream_model)
        )


def parse_call(body: bytes, schema_name: str) -> Call:
    """Check a body against a schema and read what routing needs.

    Args:
        body: JSON text.
        schema_name: `MESSAGES` or `COUNT_TOKENS`.

    Raises:
        InvalidRequest: not JSON, not UTF-8, nested too deep, a number out of range, or not what the schema describes.
    """
    if len(body) > LARGE_BYTES:
        _refuse_too_many_values(body)
    try:
        decoded = _decoded(body) if len(body) <= _SMALL_BYTES else _decoded_at_once(body)
    except RecursionError:
        raise InvalidRequest("body: nested too deep") from None
    except UnicodeDecodeError:
        raise InvalidRequest("body: not UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"body: not valid JSON: {error}") from None
    validator = _compiled(schema_name)
    if not validator.is_valid(decoded):
        raise InvalidRequest(explain(schema_name, decoded))
    return Call(
        body=body,
        members=json_members.read(body),
        model=decoded["model"],
        stream=decoded.get("stream") is True,
        # JSON Schema counts 8.0 among the integers, and count_tokens does not look at the field.
        max_tokens=int(decoded["max_tokens"]) if schema_name == MESSAGES else None,
    )


def _decoded_at_once(body: bytes) -> Any:
    """Decode without looking for garbage: none of it can be any yet, and the search takes twice the decoding."""
    if not gc.isenabled():
        return _decoded(body)
    gc.disable()
    try:
        return _decoded(body)
    finally:
        gc.enable()


def _refuse_too_many_values(body: bytes) -> None:
    """Bound what a body decodes to: 32 MB of `[],[],…` would take seconds and most of a gigabyte.

    Raises:
        InvalidRequest: over `MAX_VALUES` values.
    """
    separators = (b",", b"[", b"{")
    if sum(map(body.count, separators)) <= MAX_VALUES:
        return
    # Most may stand inside strings. A value has two strings at the most, its name and itself: four quotes.
    quoted = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if quoted.count(b'"') <= 4 * MAX_VALUES:
        bare = b"".join(quoted.split(b'"')[::2])
        if sum(map(bare.count, separators)) <= MAX_VALUES:
            return
    raise InvalidRequest(f"body: over {MAX_VALUES} values")


def explain(schema_name: str, decoded: Any) -> str:
    """Word the first thing wrong with a body the schema refuses, as `messages.0.role: …`."""
    error = _first_error(schema_name, decoded)
    if error is None:
        return "body: nested too deep"
    place = [str(step) for step in error.instance_path]
    if error.kind.name == "required":
        # `required` fails at the object; the reader looks for the field.
        return f"{'.'.join([*place, error.kind.value])}: field required"
    rule = jsonschema.Draft202012Validator({error.kind.name: error.kind.value})
    worded = next(rule.iter_errors(_shortened(error.instance)), None)
    # What is too long is not too long any more once it is shortened.
    said = worded.message if worded else f"breaks {error.kind.name} {error.kind.value}"
    return f"{'.'.join(place) or 'body'}: {said[:_SAID_CHARS]}"


def _first_error(schema_name: str, decoded: Any) -> jsonschema_rs.ValidationError | None:
    """Find one error only: all of them, on 100,000 wrong messages, would hold the event loop for seconds."""
    try:
        _compiled(schema_name).validate(decoded)
    except jsonschema_rs.ValidationError as error:
        return error
    except ValueError:
        pass  # it copies the value that fails, down to 255 levels
    return None


@functools.cache
def _compiled(schema_name: str) -> jsonschema_rs.Draft202012Validator:
    schemas = [schema_files.load(name) for name in schema_files.names()]
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas])
    return jsonschema_rs.Draft202012Validator(schema_files.load(schema_name), registry=registry)


def _shortened(value: Any) -> Any:
    """Stand in for a value of any size where only its type and bounds matter."""
    if isinstance(value, str):
        return value[:_SHOWN_CHARS]
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        return {}
    return value
