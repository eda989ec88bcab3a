"""From a JSON Schema to the msgspec type that decodes what it looks at, and skips what it does not. Pure.

A body of 108 kB is mostly text and tools, of which the schema asks no more than that they are there: to decode all of
it, and then look, takes 140 µs, to decode it as this type 45. The type accepts nothing that the schema refuses. It may
refuse what the schema accepts, so whoever uses it asks a validator then, which also words what is wrong.
"""

from collections.abc import Callable
from typing import Annotated, Any, Union

import msgspec

Schema = dict[str, Any]

_SAYS_NOTHING = frozenset({"$schema", "$id", "$defs", "title", "description", "examples"})
_META = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "maxItems": "max_length",
    "minimum": "ge",
    "maximum": "le",
}
_KEYWORDS = {
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
    "array": frozenset({"items", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_PLAIN = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}


class UnsupportedError(Exception):
    """A schema says what a type cannot."""


def type_of(document: Schema, load: Callable[[str], Schema]) -> Any:
    """Make the type of a schema.

    Args:
        document: of draft 2020-12.
        load: gives another document by the name a `$ref` has for it.

    Raises:
        UnsupportedError: it has a keyword that is not known here.
    """
    return _Documents(load).type_of(document, document)


class _Documents:
    """Makes types of schemas that refer to each other."""

    def __init__(self, load: Callable[[str], Schema]) -> None:
        self._load = load

    def type_of(self, schema: Schema, document: Schema) -> Any:
        """Make the type of a schema that is a part of `document`."""
        while "$ref" in schema:
            schema, document = self._resolve(schema["$ref"], document)
        if not schema:
            return msgspec.Raw
        if schema.keys() == {"anyOf"}:
            return Union[tuple(self.type_of(each, document) for each in schema["anyOf"])]  # noqa: UP007 - made at run time
        keywords = schema.keys() - _SAYS_NOTHING - {"type"}
        if "type" not in schema:
            raise UnsupportedError(f"no type: {schema}")
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        known = frozenset().union(*(_KEYWORDS[kind] for kind in kinds))
        if unknown := keywords - known:
            raise UnsupportedError(f"keywords: {', '.join(sorted(unknown))}")
        return Union[tuple(self._type_of_kind(kind, schema, document) for kind in kinds)]  # noqa: UP007 - made at run time

    def _resolve(self, reference: str, document: Schema) -> tuple[Schema, Schema]:
        name, _, pointer = reference.partition("#/")
        found = document = self._load(name) if name else document
        for step in pointer.split("/"):
            found = found[step]
        return found, document

    def _type_of_kind(self, kind: str, schema: Schema, document: Schema) -> Any:
        if kind == "object":
            return self._object(schema, document)
        plain: Any = _PLAIN.get(kind)
        if kind == "array":
            items = self.type_of(schema["items"], document) if "items" in schema else msgspec.Raw
            plain = list[items]  # type: ignore[valid-type] # made at run time
        bounds = {
            _META[keyword]: schema[keyword]
            for keyword in schema.keys() & _KEYWORDS[kind] & _META.keys()
        }
        return Annotated[plain, msgspec.Meta(**bounds)] if bounds else plain

    def _object(self, schema: Schema, document: Schema) -> Any:
        required = set(schema.get("required", ()))
        properties: Schema = schema.get("properties", {})
        is_open = schema.get("additionalProperties", True)
        if not isinstance(is_open, bool):
            raise UnsupportedError(f"additionalProperties: {is_open}")
        if missing := required - properties.keys():
            raise UnsupportedError(f"required, and not described: {', '.join(sorted(missing))}")
        fields: list[Any] = []
        tag_field = tag = None
        for name, described in properties.items():
            if not name.isidentifier():
                raise UnsupportedError(f"no name of a field: {name}")
            if described.keys() == {"const"} and name in required and tag is None:
                tag_field, tag = name, described["const"]
                continue
            each = self.type_of(described, document)
            optional = (name, each | msgspec.UnsetType, msgspec.UNSET)
            fields.append((name, each) if name in required else optional)
        return msgspec.defstruct(
            "Described",
            fields,
            forbid_unknown_fields=not is_open,
            gc=False,  # decoded JSON has no reference cycles
            kw_only=True,
            tag=tag,
            tag_field=tag_field,
        )
