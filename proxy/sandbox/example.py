"""The smallest value that a JSON schema allows."""

from collections.abc import Iterator
from typing import Any

_DEEPEST = 20
_SCALARS: dict[object, Any] = {"integer": 0, "number": 0, "boolean": False, "null": None}


def example(schema: Any, *, text: str = "sandbox") -> Any:
    """Return a value for a schema: required properties only, `text` where any string will do."""
    return _value(schema, schema, text, _DEEPEST)


def _value(schema: Any, root: Any, text: str, depth: int) -> Any:
    if not isinstance(schema, dict) or depth == 0:
        return None
    for fixed in _fixed_values(schema):
        return fixed
    for instead in _instead(schema, root):
        return _value(instead, root, text, depth - 1)
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            properties = schema.get("properties", {})
            return {
                name: _value(properties.get(name, {}), root, text, depth - 1)
                for name in schema.get("required", ())
            }
        case "array":
            item = _value(schema.get("items", {}), root, text, depth - 1)
            return [item] * schema.get("minItems", 0)
        case scalar:
            return text if scalar == "string" else schema.get("minimum", _SCALARS.get(scalar))


def _fixed_values(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield the values that a schema names."""
    yield from (schema[name] for name in ("const", "default") if name in schema)
    yield from schema.get("enum", ())


def _instead(schema: dict[str, Any], root: Any) -> Iterator[Any]:
    """Yield the schemas that stand in a schema's place."""
    if "$ref" in schema:
        found = root
        for name in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        yield found
    for choice in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(choice, ())
