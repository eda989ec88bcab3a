"""A type made of a schema accepts nothing that the schema refuses, and of what it accepts keeps what is described."""

import itertools
import json
from typing import Any

import jsonschema
import msgspec
import pytest

from proxy import schema_files
from proxy.protocol.call import COUNT_TOKENS, MESSAGES
from proxy.protocol.schema_types import UnsupportedError, type_of

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 8.0, 0.5, 1.5, 10**30),
    *("", "a", "ab", "é", [], [1], ["a"], ["a", "b"], ["a", "b", "c"], [[]], [{}], [None]),
    *({}, {"a": 1}, {"a": "x"}, {"b": "x"}, {"a": "x", "b": 1}, {"a": None}, {"a": {"a": "x"}}),
]
SCHEMAS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "minLength": 1, "maxLength": 1},
    {"type": "integer", "minimum": 0, "maximum": 1},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"], "minLength": 2},
    {"type": ["string", "array"], "items": {"type": "string"}, "maxItems": 2},
    {"type": "array"},
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": ["string", "null"]}}},
    {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
    {"type": "object", "required": ["a"], "properties": {"a": {}}, "additionalProperties": True},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {
        "anyOf": [
            {"type": "object", "required": ["a"], "properties": {"a": {"const": "x"}, "b": {}}},
            {"type": "object", "required": ["a"], "properties": {"a": {"const": "y"}}},
        ]
    },
    {"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "title": "says nothing"}}},
    {},
]


def _nothing(name: str) -> dict[str, Any]:
    raise LookupError(name)


@pytest.mark.parametrize(
    ("schema", "value"), list(itertools.product(SCHEMAS, VALUES)), ids=json.dumps
)
def test_what_a_type_accepts_its_schema_accepts(schema: dict[str, Any], value: Any) -> None:
    made = type_of(schema, _nothing)
    try:
        msgspec.json.decode(json.dumps(value), type=made)
    except msgspec.ValidationError:
        return
    jsonschema.validate(value, schema)


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_a_type_accepts_something(schema: dict[str, Any]) -> None:
    accepted = 0
    for value in VALUES:
        try:
            msgspec.json.decode(json.dumps(value), type=type_of(schema, _nothing))
        except msgspec.ValidationError:
            continue
        accepted += 1
    assert accepted


def test_only_what_is_described_is_kept() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}}}
    made = type_of(schema, _nothing)
    decoded = msgspec.json.decode(b'{"b":1,"a":[],"c":{"d":[]}}', type=made)
    assert msgspec.to_builtins(decoded) == {"a": []}


def test_a_reference_is_followed_into_the_document_it_names() -> None:
    other = {"$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"type": "string"}}}
    made = type_of({"$ref": "other.json#/$defs/x", "$defs": {}}, {"other.json": other}.__getitem__)
    assert made is str


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "a"},
        {"type": "string", "enum": ["a"]},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "required": ["a"]},
        {"type": "array", "items": {"not": {}}},
        {"anyOf": [{"type": "string"}], "type": "string"},
        {"type": "object", "properties": {"a": {"const": "x"}}},
        {"type": "string", "const": "x"},
    ],
    ids=json.dumps,
)
def test_what_a_type_cannot_say_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError):
        type_of(schema, _nothing)


@pytest.mark.parametrize("name", [MESSAGES, COUNT_TOKENS])
def test_the_requests_have_types(name: str) -> None:
    def load(file: str) -> dict[str, Any]:
        return schema_files.load(file.removesuffix(schema_files.SUFFIX))

    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]}'
    decoded = msgspec.json.decode(body, type=type_of(schema_files.load(name), load))
    assert msgspec.to_builtins(decoded)["messages"] == [
        {"role": "user", "content": [{"type": "text"}]}
    ]
