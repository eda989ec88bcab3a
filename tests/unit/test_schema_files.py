"""The schema files are valid themselves, described throughout, and found by their names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from proxy import schema_files

NAMES = ["config", "count-tokens-request", "error", "messages-request", "model-list"]


def _properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every property described anywhere in a schema, apart from bare conditions."""
    if isinstance(schema, list):
        for i, item in enumerate(schema):
            yield from _properties(item, f"{path}/{i}")
    elif isinstance(schema, dict):
        for name, rule in schema.get("properties", {}).items():
            yield f"{path}/{name}", rule
        for name, rule in schema.items():
            if name not in ("if", "default", "examples", "enum", "const"):
                yield from _properties(rule, f"{path}/{name}")


def _resolved(rule: dict[str, Any]) -> dict[str, Any]:
    """Follow the references of these files: `FILE#/a/b` or `#/a/b`."""
    if "$ref" not in rule:
        return rule
    file, _, pointer = rule["$ref"].partition("#/")
    found: Any = schema_files.load((file or "messages-request.schema.json").split(".")[0])
    for step in pointer.split("/"):
        found = found[step]
    return _resolved(found)


def test_the_schemas_are_those_that_are_known() -> None:
    assert schema_files.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_draft_2020_12_with_its_own_id(name: str) -> None:
    schema = schema_files.load(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://anyrouter.dev/schemas/{name}.schema.json"
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("name", NAMES)
def test_every_property_has_a_description(name: str) -> None:
    schema = schema_files.load(name)
    found = dict(_properties(schema))
    assert found
    for path, rule in found.items():
        described = "description" in rule or (
            rule.get("$ref", "").startswith("messages-request") and "description" in _resolved(rule)
        )
        assert described, path


@pytest.mark.parametrize("name", ["messages-request", "count-tokens-request"])
def test_a_request_schema_is_open_at_every_level(name: str) -> None:
    assert "additionalProperties" not in json.dumps(schema_files.load(name))
    assert "unevaluatedProperties" not in json.dumps(schema_files.load(name))


def test_every_default_is_what_its_schema_allows() -> None:
    for path, rule in _properties(schema_files.load("config")):
        if "default" in rule:
            assert jsonschema.Draft202012Validator(rule).is_valid(rule["default"]), path


def test_the_files_lie_beside_the_package_in_a_checkout() -> None:
    assert schema_files.folder() == Path(__file__).parents[2] / "schemas"


def test_a_schema_is_read_once() -> None:
    assert schema_files.load("error") is schema_files.load("error")
