"""The first thing wrong with a body, in words: `messages.0.role: …`. Pure.

`jsonschema-rs` accepts or refuses a decoded body and finds the place; `jsonschema` words what is wrong there, on the
failing value alone, because on a whole 1 MB request it would hold the event loop for 40 ms.
"""

import functools
from typing import Any

import jsonschema
import jsonschema_rs

from proxy import schema_files

_MAX_QUOTED_CHARS = 60
_MAX_MESSAGE_CHARS = 200
_SPELLED = ((None, "null"), (True, "true"), (False, "false"))


def explain(schema_name: str, decoded: Any) -> str:
    """Describe the first thing wrong with a body the schema refuses, as `messages.0.role: …`."""
    error = _first_error(schema_name, decoded)
    if error is None:
        return "body: nested too deep"
    place = [str(step) for step in error.instance_path]
    if error.kind.name == "required":
        # `required` fails at the object; the reader looks for the field.
        return f"{'.'.join([*place, error.kind.value])}: field required"
    rule = jsonschema.Draft202012Validator({error.kind.name: error.kind.value})
    worded = next(rule.iter_errors(_shorten(error.instance)), None)
    # The shortened value may pass `maxLength` or `maxItems`: then the rule is named.
    said = (
        _spell(error.instance, worded.message)
        if worded
        else f"breaks {error.kind.name} {error.kind.value}"
    )
    return f"{'.'.join(place) or 'body'}: {said[:_MAX_MESSAGE_CHARS]}"


def _first_error(schema_name: str, decoded: Any) -> jsonschema_rs.ValidationError | None:
    """Return one error only: all of them, on 100,000 wrong messages, would hold the event loop for seconds."""
    try:
        compile_schema(schema_name).validate(decoded)
    except jsonschema_rs.ValidationError as error:
        # Its frames know whoever asked, down to the request, and whoever asked knows it.
        return error.with_traceback(None)
    except ValueError:
        pass  # it copies the value that fails, down to 255 levels
    return None


def _spell(value: Any, message: str) -> str:
    """Return a message that begins with Python's word for a value as JSON spells it, for whom no Python is."""
    for word, spelled in _SPELLED:
        if value is word:
            return message.replace(repr(word), spelled, 1)
    return message


def _shorten(value: Any) -> Any:
    """Stand in for a value of any size where only its type and bounds matter."""
    if isinstance(value, str):
        return value[:_MAX_QUOTED_CHARS]
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        return {}
    return value


@functools.cache
def compile_schema(schema_name: str) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema by its name."""
    schemas = [schema_files.load(name) for name in schema_files.names()]
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas])
    return jsonschema_rs.Draft202012Validator(schema_files.load(schema_name), registry=registry)
