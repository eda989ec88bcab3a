"""Keys and owners by the admin API: what is given is checked in full, and what is changed is in the audit."""

from typing import Any

import pytest

from tests.admin.conftest import READER, Start
from tests.support.gateways import KEY

LAPTOP = {
    "name": "laptop",
    "owner": "team-s",
    "models": ["anthropic/*"],
    "limits": {"requests_per_minute": 60},
    "budgets": {"day_micros": 5_000_000, "fail": "closed"},
    "tags": {"room": "12"},
    "expires_at": "2036-01-31T00:00:00Z",
}


async def test_a_key_is_made_shown_changed_rotated_and_deleted(admin: Start) -> None:
    async with admin() as ask:
        status, made = await ask("POST", "/keys", LAPTOP)
        assert (status, made["type"], made["source"]) == (201, "key", "store")
        secret = made.pop("secret")
        assert secret.startswith("ar-")
        assert await ask("GET", "/keys/laptop") == (200, made)
        assert made["budgets"]["day_micros"] == 5_000_000
        assert made["expires_at"] == LAPTOP["expires_at"]
        status, changed = await ask("PATCH", "/keys/laptop", {"disabled": True, "owner": None})
        assert (status, changed["disabled"], changed["owner"]) == (200, True, None)
        assert changed["limits"] == made["limits"]
        status, rotated = await ask("POST", "/keys/laptop/rotate", {"grace_s": 60})
        assert status == 200
        assert rotated["secret"] != secret
        assert rotated["previous_valid_until"] is not None
        assert await ask("DELETE", "/keys/laptop") == (
            200,
            {"type": "key_deleted", "name": "laptop"},
        )
        assert (await ask("GET", "/keys/laptop"))[0] == 404
        status, again = await ask("POST", "/keys", LAPTOP)
        assert (status, again["error"]["type"]) == (409, "conflict_error")
        _, told = await ask("GET", "/audit")
        actions = [each["action"] for each in told["data"]]
        assert actions == ["key.delete", "key.rotate", "key.update", "key.create"]
        assert {each["actor"] for each in told["data"]} == {"ops"}
        assert secret not in str(told)
        newest = told["data"][0]
        assert newest["at"].endswith("Z")
        assert newest["before"]["expires_at"] == LAPTOP["expires_at"]
        assert newest["after"] is None


@pytest.mark.parametrize(
    ("patch", "field", "left"),
    [
        ({"budgets": {"day_micros": None}}, "budgets", {"day_micros": None, "fail": "closed"}),
        ({"budgets": None}, "budgets", None),
        ({"budgets": {"month_micros": 7}}, "budgets", {"month_micros": 7, "day_micros": 5_000_000}),
        ({"limits": None}, "limits", None),
        (
            {"limits": {"max_in_flight": 2}},
            "limits",
            {"max_in_flight": 2, "requests_per_minute": 60},
        ),
        ({"expires_at": None}, "expires_at", None),
        ({"tags": {"room": None, "floor": "3"}}, "tags", {"floor": "3"}),
    ],
)
async def test_a_patch_changes_what_it_names_and_null_takes_it_off(
    admin: Start, patch: dict[str, Any], field: str, left: Any
) -> None:
    async with admin() as ask:
        await ask("POST", "/keys", LAPTOP)
        status, changed = await ask("PATCH", "/keys/laptop", patch)
        assert status == 200
        if isinstance(left, dict):
            assert {name: changed[field][name] for name in left} == left
            assert field != "tags" or changed[field] == left
        else:
            assert changed[field] == left
        assert changed == (await ask("GET", "/keys/laptop"))[1]


REFUSED: list[tuple[Any, str]] = [
    (
        {"name": "x", "budget": {"day_micros": 1}},
        "body: Object contains unknown field `budget`; did you mean budgets? known here: name, owner, models, ",
    ),
    (
        {"name": "x", "budgets": {"day_usd": 1}},
        "budgets: Object contains unknown field `day_usd`; did you mean day_micros, in millionths of a dollar? ",
    ),
    (
        {"name": "x", "limits": {"zzz": 1}},
        "limits: Object contains unknown field `zzz`; known here: requests_per_minute, ",
    ),
    ({"name": "x", "limits": {"requests_per_minute": 0}}, "limits.requests_per_minute: "),
    ({"name": "x", "budgets": {"day_micros": -1}}, "budgets.day_micros: "),
    ({"name": "x", "budgets": {"day_micros": 1.5}}, "budgets.day_micros: "),
    ({"name": "x", "owner": "nobody"}, "owner: no owner is called nobody"),
    ({"name": "a b"}, "name: "),
    ({}, "body: Object missing required field `name`"),
    ({"name": "x", "models": []}, "models: "),
    ({"name": "x", "expires_at": "2036-01-31T00:00:00"}, "expires_at: needs its zone"),
    (b"{", "body: not JSON"),
    (b'{"name": "x", "budgets": {"day_micros": NaN}}', "body: not JSON"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[message for _, message in REFUSED])
async def test_what_is_no_key_is_refused_with_its_path_and_changes_nothing(
    admin: Start, body: Any, message: str
) -> None:
    async with admin() as ask:
        status, refused = await ask("POST", "/keys", body)
        assert (status, refused["error"]["type"]) == (400, "invalid_request_error")
        assert refused["error"]["message"].startswith(message)
        assert [each["name"] for each in (await ask("GET", "/keys"))[1]["data"]] == ["static"]


async def test_keys_of_the_configuration_are_shown_and_changed_there(admin: Start) -> None:
    async with admin() as ask:
        status, shown = await ask("GET", "/keys/static")
        assert (status, shown["source"], shown["budgets"]["day_micros"]) == (
            200,
            "configuration",
            5,
        )
        for method, path in (
            ("PATCH", "/keys/static"),
            ("DELETE", "/keys/static"),
            ("POST", "/keys/static/rotate"),
            ("PUT", "/owners/team-s"),
            ("DELETE", "/owners/team-s"),
        ):
            assert (await ask(method, path, {}))[0] == 409
        assert (await ask("POST", "/keys", {"name": "static"}))[0] == 409


async def test_pages_go_by_name_through_both_kinds_of_keys(admin: Start) -> None:
    async with admin() as ask:
        for name in ("a", "t", "z"):
            await ask("POST", "/keys", {"name": name})
        _, first = await ask("GET", "/keys?limit=2")
        assert [each["name"] for each in first["data"]] == ["a", "static"]
        assert (first["has_more"], first["next"]) == (True, "static")
        _, second = await ask("GET", f"/keys?limit=2&after={first['next']}")
        assert [each["name"] for each in second["data"]] == ["t", "z"]
        assert (second["has_more"], second["next"]) == (False, None)
        for query in ("limit=0", "limit=1001", "limit=x", "afetr=a"):
            assert (await ask("GET", f"/keys?{query}"))[0] == 400


async def test_owners_are_put_listed_and_deleted(admin: Start) -> None:
    async with admin() as ask:
        status, made = await ask("PUT", "/owners/team-b", {"budgets": {"month_micros": 9}})
        assert (status, made["budgets"]["month_micros"]) == (200, 9)
        assert (await ask("POST", "/keys", {"name": "b", "owner": "team-b"}))[0] == 201
        _, listed = await ask("GET", "/owners")
        assert [each["name"] for each in listed["data"]] == ["team-b", "team-s"]
        assert (await ask("PUT", "/owners/team-b", {"budget": {}}))[0] == 400
        status, refused = await ask("DELETE", "/owners/team-b")
        assert (status, refused["error"]["type"]) == (409, "conflict_error")
        assert "would lose its limits and budgets: b" in refused["error"]["message"]
        assert (await ask("PATCH", "/keys/b", {"owner": None}))[0] == 200
        assert (await ask("DELETE", "/owners/team-b"))[0] == 200
        assert (await ask("GET", "/owners/team-b"))[0] == 404


async def test_only_admin_keys_open_it_and_a_reader_changes_nothing(admin: Start) -> None:
    async with admin() as ask:
        for key in (None, KEY, "ara-nobody-0123456789-abcdefghijk"):
            status, refused = await ask("GET", "/keys", key=key)
            assert (status, refused["error"]["type"]) == (401, "authentication_error")
            assert "one of `admin.keys`" in refused["error"]["message"]
            assert "gateway key" not in refused["error"]["message"]
        assert (await ask("GET", "/keys", key=READER))[0] == 200
        for method, path in (("POST", "/keys"), ("DELETE", "/keys/x"), ("PUT", "/owners/x")):
            status, refused = await ask(method, path, {}, key=READER)
            assert (status, refused["error"]["type"]) == (403, "permission_error")


async def test_a_wrong_path_or_method_is_an_error_of_the_apis_shape(admin: Start) -> None:
    async with admin() as ask:
        assert (await ask("GET", "/nothing"))[1]["error"]["type"] == "not_found_error"
        assert (await ask("PATCH", "/keys"))[0] == 405


async def test_without_a_store_what_needs_one_says_so(admin: Start) -> None:
    async with admin(store=None) as ask:
        status, refused = await ask("POST", "/keys", {"name": "x"})
        assert status == 503
        assert "there is no store" in refused["error"]["message"]
        assert [each["name"] for each in (await ask("GET", "/keys"))[1]["data"]] == ["static"]
