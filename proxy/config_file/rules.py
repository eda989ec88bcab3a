"""A configuration document against `schemas/config.schema.json`, and the first fault in words. Pure.

The text of a fault is `path.of.the.field: what is wrong`; values are shown only where no secret can stand.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
from jsonschema import ValidationError

from proxy import schema_files

_DOLLAR = re.compile(r"\$$")
_HOLD_SECRETS = {"keys", "upstreams"}


def _is_integer(_checker: jsonschema.TypeChecker, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.search(_DOLLAR.sub(r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


# Stricter than jsonschema's own: 8080.0 is no integer, since a port must be one, and a pattern's `$` matches at the
# end only, as JSON Schema's does, while Python's lets a newline follow, which would end in a header.
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # untyped in types-jsonschema
    jsonschema.Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def first_fault(document: Any) -> str | None:
    """Word what is most wrong with a document; None when it is what the schema describes."""
    errors = _Validator(schema_files.load("config")).iter_errors(document)
    error = jsonschema.exceptions.best_match(errors)
    return _doubled_version(document) if error is None else _worded(error)


def _doubled_version(document: Any) -> str | None:
    """Find the slip that would make every request a 404."""
    for name, upstream in document["upstreams"].items():
        for doubled in ("/v1", "/v1/messages", "/v1/messages/count_tokens"):
            if upstream["base_url"].rstrip("/").endswith(doubled):
                return f"upstreams.{name}.base_url: leave out {doubled}, the gateway adds it"
    return None


def kind_at(path: Sequence[str | int]) -> str | None:
    """Return the type the schema asks for at a path; None when it asks for none there, or for one of several."""
    rule: Any = schema_files.load("config")
    for step in path:
        named = rule.get("properties", {}).get(step, rule.get("additionalProperties"))
        rule = rule.get("items") if isinstance(step, int) else named
        if not isinstance(rule, dict):
            return None
    kind = rule.get("type")
    return kind if isinstance(kind, str) else None


def key_name_fault(name: str) -> str | None:
    """Word what is wrong with the name of a key; None when it can stand in a configuration."""
    rule = schema_files.load("config")["properties"]["keys"]["items"]["properties"]["name"]
    return None if _Validator(rule).is_valid(name) else f"must satisfy pattern {rule['pattern']}"


def dotted(path: Sequence[str | int]) -> str:
    """Write the path of a field."""
    return ".".join(map(str, path)) or "file"


def _worded(error: ValidationError) -> str:
    """Word a schema error; without the value where that may be a secret."""
    place = dotted(error.absolute_path)
    rule, expected = str(error.validator), error.validator_value
    if rule == "type" and isinstance(expected, list):
        expected = " or ".join(expected)
    if rule == "additionalProperties":
        rules: Any = error.schema
        instance: Any = error.instance
        known = rules.get("properties", {})
        unknown = next(str(name) for name in instance if name not in known)
        path = dotted([*error.absolute_path, unknown])
        return f"{path}: unknown key; known here: {', '.join(known)}"
    if rule == "oneOf":
        return f"{place}: needs either sha256 or key"
    if "propertyNames" in error.absolute_schema_path:
        place = dotted([*error.absolute_path, str(error.instance)])
    if rule == "not":
        return f"{place}: the gateway sets this header itself"
    if rule != "required" and _may_hold_secret(error):
        return f"{place}: must satisfy {rule} {expected}"
    return f"{place}: {error.message}"


def _may_hold_secret(error: ValidationError) -> bool:
    path = error.absolute_path
    return not path or path[0] in _HOLD_SECRETS or isinstance(error.instance, dict | list)
