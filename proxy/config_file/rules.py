"""A configuration document against `schemas/config.schema.json`, and every fault in words. Pure.

What a field is to hold is said by the schema: by its type and bounds, or by `x-expected`, in a person's words.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
from jsonschema import ValidationError

from proxy import schema_files
from proxy.config_file.faults import Fault, kind_of, placeholder_fault, suggest

_DOLLAR = re.compile(r"\$$")
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _is_integer(_checker: jsonschema.TypeChecker, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.search(_DOLLAR.sub(r"\\Z", pattern), value):
        yield ValidationError("does not match")


# Stricter than jsonschema's own: 8080.0 is no integer, since a port must be one, and a pattern's `$` matches at the
# end only, as JSON Schema's does, while Python's lets a newline follow, which would end in a header.
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # untyped in types-jsonschema
    jsonschema.Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def faults(document: Any) -> list[Fault]:
    """Return everything in which a document is not what the schema describes, one fault for each field."""
    found: dict[tuple[str | int, ...], Fault] = {}
    for error in _Validator(schema_files.load("config")).iter_errors(document):
        for fault in _describe(error):
            found.setdefault(fault.path, fault)
    return list(found.values())


def kind_at(path: Sequence[str | int]) -> str | None:
    """Return the type the schema asks for at a path; None when it asks for none there, or for one of several."""
    kind = (_rule_at(path) or {}).get("type")
    return kind if isinstance(kind, str) else None


def _rule_at(path: Sequence[str | int]) -> dict[str, Any] | None:
    """Return what the schema says of a path; None: nothing."""
    schema = schema_files.load("config")
    rule: Any = schema
    for step in path:
        named = rule.get("properties", {}).get(step, rule.get("additionalProperties"))
        rule = rule.get("items") if isinstance(step, int) else named
        if not isinstance(rule, dict):
            return None
        if (shared := rule.get("$ref")) is not None:
            rule = schema["$defs"][shared.rpartition("/")[2]]
    return rule  # type: ignore[no-any-return] # the document of a schema, in which a rule is an object


def key_name_fault(name: str) -> str | None:
    """Describe what is wrong with the name of a key; None when it can stand in a configuration."""
    return _key_fault("name", name)


def key_fault(key: str) -> str | None:
    """Describe what is wrong with a key itself; as `key_name_fault`."""
    return _key_fault("key", key)


def _key_fault(field: str, text: str) -> str | None:
    rule = schema_files.load("config")["properties"]["keys"]["items"]["properties"][field]
    return None if _Validator(rule).is_valid(text) else f"must be {rule['x-expected']}"


def _describe(error: ValidationError) -> Iterator[Fault]:
    """Describe an error of jsonschema's, whose own message quotes values and patterns."""
    path = tuple(error.absolute_path)
    rules: Any = error.schema
    value: Any = error.instance
    if error.validator == "additionalProperties":
        known = rules.get("properties", {})
        for name in value:
            if name not in known:
                yield Fault((*path, name), _unknown(name, list(known)))
    elif error.validator == "required":
        # jsonschema makes an error of each name that is missing.
        for name in rules["required"]:
            if name not in value:
                yield Fault((*path, name), "missing, and required")
    elif error.validator == "not":
        yield Fault((*path, value), "the gateway sets this header itself; leave it out")
    elif "propertyNames" in error.absolute_schema_path:
        yield Fault((*path, value), f"the name must be {rules['x-expected']}")
    else:
        yield Fault(path, placeholder_fault(path, value) or _describe_rule(error))


def _unknown(name: str, known: Sequence[str]) -> str:
    sections = schema_files.load("config")["properties"]
    homes = [
        f"{section}.{name}"
        for section, rules in sections.items()
        if name in rules.get("properties", ())
    ]
    if near := suggest(name, known):
        return f"unknown field{near}"
    if homes:
        return f"unknown field; did you mean {' or '.join(homes)}?"
    return f"unknown field; known here: {', '.join(known)}"


def _describe_rule(error: ValidationError) -> str:
    """Describe what a field must hold, and, when it is of another kind, what it holds."""
    rules: Any = error.schema
    value: Any = error.instance
    if error.validator == "oneOf":
        return "needs one of sha256 and key, and not both"
    if error.validator == "enum":
        return f"must be one of {', '.join(rules['enum'])}{suggest(value, rules['enum'])}"
    if error.validator in ("minItems", "minProperties"):
        return "at least one is needed"
    kinds = rules.get("type", ())
    expected = rules.get("x-expected") or " or ".join(
        _KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)
    )
    said = f"must be {expected}{_bounds(rules)}"
    if error.validator in ("type", "const"):
        return f"{said}; it is {kind_of(value)}{_how_to_leave_out(error)}"
    return f"{said}; it is empty" if value == "" else said


def _how_to_leave_out(error: ValidationError) -> str:
    """Say what to do with a name behind which nothing is left, such as that of a list of which all is a comment."""
    path = list(error.absolute_path)
    if error.instance is not None:
        return ""
    if not path:
        return ": `anyrouter init --config FILE` writes an example to begin with"
    around = _rule_at(path[:-1]) if isinstance(path[-1], str) else None
    if around is None or path[-1] not in around.get("properties", {}):
        return ""
    is_needed = path[-1] in around.get("required", ())
    return "" if is_needed else ": take the name out, too, to leave it out"


def _bounds(rules: dict[str, Any]) -> str:
    match rules:
        case {"minimum": least, "maximum": most}:
            return f" from {least} to {most}"
        case {"minimum": least}:
            return f", {least} or more"
    return ""
