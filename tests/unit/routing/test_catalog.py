"""The model list: what a key may see, how an entry looks, how a page is cut."""

from typing import Any

import jsonschema
import pytest
from multidict import MultiDict

from proxy import schema_files
from proxy.config import Key, Model
from proxy.errors import InvalidRequest
from proxy.routing.catalog import describe, page, visible
from proxy.routing.router import Router

MODELS = (
    Model("anthropic/claude-opus-4.8", "a", display_name="Opus", created_at="2026-01-01T00:00:00Z"),
    Model("anthropic/claude-haiku-4.5", "a", aliases=("haiku",)),
    Model("anthropic/*", "a", display_name="Any"),
)
ROUTER = Router(MODELS)
ENTRIES: list[dict[str, Any]] = [{"id": f"m{i}", "lifecycle": "active"} for i in range(25)]
UNKNOWN = {
    "lifecycle": "active",
    "line": None,
    "max_input_tokens": None,
    "max_tokens": None,
    "deprecated_at": None,
    "retires_at": None,
    "capabilities": None,
}


def key(*models: str) -> Key:
    return Key("k", "0" * 64, models)


def ids(found: dict[str, Any]) -> list[str]:
    return [entry["id"] for entry in found["data"]]


@pytest.mark.parametrize(
    ("patterns", "seen"),
    [
        (["*"], ["anthropic/claude-opus-4.8", "anthropic/claude-haiku-4.5"]),
        (["claude-opus-*"], ["anthropic/claude-opus-4.8"]),
        (["anthropic/claude-haiku-4-5"], ["anthropic/claude-haiku-4.5"]),
        (["openai/*"], []),
    ],
)
def test_a_key_sees_the_models_it_may_use_and_no_wildcard(
    patterns: list[str], seen: list[str]
) -> None:
    assert [entry["id"] for entry in visible(MODELS, ROUTER, key(*patterns), {})] == seen


@pytest.mark.parametrize(
    ("asked", "model_id", "display_name", "created_at"),
    [
        ("claude-opus-4-8", "anthropic/claude-opus-4.8", "Opus", "2026-01-01T00:00:00Z"),
        ("haiku", "anthropic/claude-haiku-4.5", "claude-haiku-4.5", None),
        ("claude-new-9", "anthropic/claude-new-9", "claude-new-9", None),
        (
            "anthropic/claude-new-9",
            "anthropic/claude-new-9",
            "claude-new-9",
            None,
        ),
    ],
)
def test_an_entry_names_the_catalogs_id_or_for_a_wildcard_the_one_asked_for(
    asked: str, model_id: str, display_name: str, created_at: str | None
) -> None:
    assert describe(asked, ROUTER.find(asked), ROUTER, {}) == {
        "type": "model",
        "id": model_id,
        "display_name": display_name,
        **({} if created_at is None else {"created_at": created_at}),
        **UNKNOWN,
    }


THEIRS: list[dict[str, Any]] = [
    {"id": "claude-haiku-4-5-20251001", "created_at": "2025-10-15T00:00:00Z", "max_tokens": 64000},
    {"id": "claude-opus-4-8", "created_at": "2000-01-01T00:00:00Z"},
]


def test_what_the_catalog_leaves_open_is_as_its_upstream_lists_it() -> None:
    opus, haiku, *_ = visible(MODELS, ROUTER, key("*"), {"a": THEIRS})
    assert opus["created_at"] == "2026-01-01T00:00:00Z"
    assert (haiku["created_at"], haiku["max_tokens"]) == ("2025-10-15T00:00:00Z", 64000)
    assert describe("haiku", ROUTER.find("haiku"), ROUTER, {"a": THEIRS}) == haiku
    assert "created_at" not in describe("haiku", ROUTER.find("haiku"), ROUTER, {"b": THEIRS})


@pytest.mark.parametrize(
    ("query", "first", "last", "has_more"),
    [
        ({}, 0, 19, True),
        ({"limit": "25"}, 0, 24, False),
        ({"limit": "1000"}, 0, 24, False),
        ({"limit": "1"}, 0, 0, True),
        ({"after_id": "m4"}, 5, 24, False),
        ({"after_id": "m3"}, 4, 23, True),
        ({"after_id": "m3", "limit": "2"}, 4, 5, True),
        ({"before_id": "m10"}, 0, 9, False),
        ({"before_id": "m10", "limit": "3"}, 7, 9, True),
        ({"before_id": "m21"}, 1, 20, True),
    ],
    ids=str,
)
def test_a_page_is_cut_as_the_query_says(
    query: dict[str, str], first: int, last: int, *, has_more: bool
) -> None:
    found = page(ENTRIES, MultiDict(query))
    assert ids(found) == [f"m{i}" for i in range(first, last + 1)]
    assert (found["first_id"], found["last_id"]) == (f"m{first}", f"m{last}")
    assert found["has_more"] is has_more


@pytest.mark.parametrize("query", [{"after_id": "m24"}, {"before_id": "m0"}], ids=str)
def test_beyond_either_end_is_an_empty_page(query: dict[str, str]) -> None:
    nothing = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert page(ENTRIES, MultiDict(query)) == nothing


def test_following_last_id_meets_every_model_once() -> None:
    met: list[str] = []
    query = {"limit": "7"}
    has_more = True
    while has_more:
        found = page(ENTRIES, MultiDict(query))
        met += ids(found)
        query["after_id"], has_more = found["last_id"], found["has_more"]
    assert met == [entry["id"] for entry in ENTRIES]


@pytest.mark.parametrize("limit", ["", "0", "1001", "-1", "1.0", "x", "²", "9" * 5000, " 1"])
def test_a_limit_out_of_range_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^limit: must be .*1 to 1000$"):
        page(ENTRIES, MultiDict(limit=limit))


@pytest.mark.parametrize("name", ["after_id", "before_id"])
def test_an_id_that_is_not_in_the_list_is_refused_and_shown_in_short(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        page(ENTRIES, MultiDict({name: "x" * 10_000}))
    assert refused.value.message == f"{name}: no model {'x' * 200} in the list"


def test_a_page_is_what_the_schema_describes() -> None:
    found = page(visible(MODELS, ROUTER, key("*"), {}), MultiDict())
    jsonschema.Draft202012Validator(schema_files.load("model-list")).validate(found)


def listed(*ids: str) -> list[dict[str, Any]]:
    return [
        {"type": "model", "id": each, "display_name": each.title(), "line": "x"} for each in ids
    ]


@pytest.mark.parametrize(
    ("models", "theirs", "ours"),
    [
        pytest.param(
            (Model("anthropic/*", "a"),),
            ("claude-haiku-4-5", "claude-new-9"),
            ["anthropic/claude-haiku-4-5", "anthropic/claude-new-9"],
            id="default ids",
        ),
        pytest.param(
            (Model("anthropic/*", "a", upstream_model="anthropic/*"),),
            ("anthropic/claude-haiku-4.5", "openai/gpt"),
            ["anthropic/claude-haiku-4.5"],
            id="an upstream with vendors in its ids",
        ),
        pytest.param(
            (Model("anthropic/eu-*", "a", upstream_model="eu.*-v1"),),
            ("eu.claude-x-v1", "us.claude-x-v1"),
            ["anthropic/eu-claude-x"],
            id="a pattern with both ends",
        ),
        pytest.param(
            (Model("anthropic/claude-haiku-*", "a"),),
            ("claude-haiku-4-5", "claude-opus-5"),
            ["anthropic/claude-haiku-4-5"],
            id="a narrow wildcard",
        ),
        pytest.param(
            (Model("anthropic/*", "a", upstream_model="one-model"),),
            ("one-model",),
            [],
            id="one model behind all ids",
        ),
        pytest.param(
            (Model("anthropic/claude-haiku-4.5", "a"), Model("anthropic/*", "a")),
            ("claude-haiku-4-5", "claude-opus-5"),
            ["anthropic/claude-haiku-4.5", "anthropic/claude-opus-5"],
            id="an exact entry is listed once, as it is written",
        ),
        pytest.param((Model("anthropic/*", "b"),), ("claude-x",), [], id="another upstream's"),
    ],
)
def test_behind_a_wildcard_stands_what_its_upstream_lists_by_ids_that_lead_there(
    models: tuple[Model, ...], theirs: tuple[str, ...], ours: list[str]
) -> None:
    router = Router(models)
    entries = visible(models, router, key("*"), {"a": listed(*theirs)})
    assert [entry["id"] for entry in entries] == ours
    for entry in entries:
        assert router.find(entry["id"]).upstream_model in theirs
    jsonschema.Draft202012Validator(schema_files.load("model-list")).validate(
        page(entries, MultiDict())
    )


def test_what_an_upstream_lists_is_shown_to_keys_that_may_use_it_and_keeps_its_facts() -> None:
    found = {"a": listed("claude-new-9", "claude-old-1")}
    (entry,) = visible(MODELS[2:], Router(MODELS[2:]), key("claude-new-*"), found)
    assert (entry["display_name"], entry["line"]) == ("Claude-New-9", "x")
    route = Router(MODELS[2:]).find("claude-new-9")
    assert describe("claude-new-9", route, Router(MODELS[2:]), found) == entry


@pytest.mark.parametrize(
    ("query", "stages"),
    [
        ([], ["active", "deprecated"]),
        ([("lifecycle[]", "retired")], ["retired"]),
        ([("lifecycle[]", "active"), ("lifecycle[]", "retired")], ["active", "retired"]),
        ([("lifecycle", "deprecated")], ["deprecated"]),
    ],
    ids=str,
)
def test_retired_models_are_listed_only_when_asked_for(
    query: list[tuple[str, str]], stages: list[str]
) -> None:
    entries = [{"id": stage, "lifecycle": stage} for stage in ("active", "deprecated", "retired")]
    assert ids(page(entries, MultiDict(query))) == stages


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^lifecycle: must be one of active, deprecated, ret"):
        page(ENTRIES, MultiDict({"lifecycle[]": "old"}))
