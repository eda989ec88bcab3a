"""The model list: what a key may see, how an entry looks, how a page is cut."""

from typing import Any

import jsonschema
import pytest

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
ENTRIES: list[dict[str, Any]] = [{"id": f"m{i}"} for i in range(25)]


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
    assert [entry["id"] for entry in visible(MODELS, ROUTER, key(*patterns))] == seen


@pytest.mark.parametrize(
    ("asked", "model_id", "display_name", "created_at"),
    [
        ("claude-opus-4-8", "anthropic/claude-opus-4.8", "Opus", "2026-01-01T00:00:00Z"),
        ("haiku", "anthropic/claude-haiku-4.5", "claude-haiku-4.5", "1970-01-01T00:00:00Z"),
        ("claude-new-9", "anthropic/claude-new-9", "claude-new-9", "1970-01-01T00:00:00Z"),
        (
            "anthropic/claude-new-9",
            "anthropic/claude-new-9",
            "claude-new-9",
            "1970-01-01T00:00:00Z",
        ),
    ],
)
def test_an_entry_names_the_catalogs_id_or_for_a_wildcard_the_one_asked_for(
    asked: str, model_id: str, display_name: str, created_at: str
) -> None:
    assert describe(asked, ROUTER.find(asked)) == {
        "type": "model",
        "id": model_id,
        "display_name": display_name,
        "created_at": created_at,
    }


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
    found = page(ENTRIES, query)
    assert ids(found) == [f"m{i}" for i in range(first, last + 1)]
    assert (found["first_id"], found["last_id"]) == (f"m{first}", f"m{last}")
    assert found["has_more"] is has_more


@pytest.mark.parametrize("query", [{"after_id": "m24"}, {"before_id": "m0"}], ids=str)
def test_beyond_either_end_is_an_empty_page(query: dict[str, str]) -> None:
    nothing = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert page(ENTRIES, query) == nothing


def test_following_last_id_meets_every_model_once() -> None:
    met: list[str] = []
    query = {"limit": "7"}
    has_more = True
    while has_more:
        found = page(ENTRIES, query)
        met += ids(found)
        query["after_id"], has_more = found["last_id"], found["has_more"]
    assert met == [entry["id"] for entry in ENTRIES]


@pytest.mark.parametrize("limit", ["", "0", "1001", "-1", "1.0", "x", "²", "9" * 5000, " 1"])
def test_a_limit_out_of_range_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^limit: must be .*1 to 1000$"):
        page(ENTRIES, {"limit": limit})


@pytest.mark.parametrize("name", ["after_id", "before_id"])
def test_an_id_that_is_not_in_the_list_is_refused_and_shown_in_short(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        page(ENTRIES, {name: "x" * 10_000})
    assert refused.value.message == f"{name}: no model {'x' * 200} in the list"


def test_a_page_is_what_the_schema_describes() -> None:
    found = page(visible(MODELS, ROUTER, key("*")), {})
    jsonschema.Draft202012Validator(schema_files.load("model-list")).validate(found)
