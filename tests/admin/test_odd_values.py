"""Times at the calendar's ends, places in lists that are none, and texts with a NUL: they break nothing."""

import base64
import datetime
import time
from typing import Any

import msgspec
import pytest

from proxy import Key
from proxy.access.keys import digest
from proxy.access.records import KeyRecord, Secret
from tests.admin.conftest import WRITER, Start
from tests.admin.viewing import viewed

BEFORE_ALL, BEHIND_ALL = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
ENDS = (BEFORE_ALL, BEHIND_ALL)
PAGES = ("/spend", "/spend?by=day", "/sessions", "/cache")
LISTS = ("cache", "sessions", "usage", "requests", "errors")
HERE = {"x-api-key": WRITER}


@pytest.mark.parametrize("at", ENDS)
async def test_a_key_that_ends_beyond_the_calendar_is_shown_and_changed(
    admin: Start, at: str
) -> None:
    async with admin() as ask:
        status, made = await ask("POST", "/keys", {"name": "odd", "expires_at": at})
        assert status == 201
        assert [each["name"] for each in (await ask("GET", "/keys"))[1]["data"]] == [
            "odd",
            "static",
        ]
        status, changed = await ask("PATCH", "/keys/odd", {"disabled": True})
        assert (status, changed["expires_at"]) == (200, made["expires_at"])


@pytest.mark.parametrize("at", ENDS)
def test_a_key_that_ends_beyond_the_calendar_keeps_no_gateway_from_the_changes_behind_it(
    at: str,
) -> None:
    ends = datetime.datetime.fromisoformat(at)
    record = KeyRecord(name="odd", expires_at_ms=int(ends.timestamp() * 1000))
    expires = record.key_of(Secret("0" * 64)).expires_at
    assert expires is not None
    assert (expires.timestamp() > time.time()) is (at == BEHIND_ALL)


@pytest.mark.parametrize("at", ENDS)
async def test_the_page_of_a_configured_key_is_shown_whenever_it_ends(
    store_url: str, at: str
) -> None:
    keys = (Key("odd", digest("x" * 40), expires_at=datetime.datetime.fromisoformat(at)),)
    async with viewed(store_url, keys=keys) as browser:
        for place in ("/keys/odd", "/admin/v1/keys"):
            assert (await browser(place, headers=HERE)).status == 200


@pytest.mark.parametrize("at", ENDS)
async def test_a_time_beyond_the_calendar_is_refused(store_url: str, at: str) -> None:
    async with viewed(store_url) as browser:
        for place in (*PAGES, *(f"/admin/v1/{each}" for each in LISTS)):
            told = await browser(place, headers=HERE, params={"since": at})
            assert (told.status, "so far away" in told.text) == (400, True), place


@pytest.mark.parametrize(
    "place", [["abc", "x"], [1 << 63, "x"], [-(1 << 80), "x"], ["\0", "x"], [1, 2], ["x", "y", "z"]]
)
async def test_a_place_in_a_list_that_is_none_is_refused(admin: Start, place: list[Any]) -> None:
    after = base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
    async with admin() as ask:
        for path in ("requests?", "usage?by=day,key&", "usage?by=hour,key&"):
            status, told = await ask("GET", f"/{path}after={after}")
            assert (status, told["error"]["message"][:6]) == (400, "after:"), path


async def test_a_text_that_no_store_can_hold_is_no_outage_of_the_store(store_url: str) -> None:
    places = (
        *(f"/{each}?key=a%00b" for each in ("spend", "sessions", "cache", "errors")),
        *(f"/admin/v1/{each}?key=a%00b" for each in LISTS),
        "/find?q=a%00b",
        "/sessions/a%00b",
        "/requests/a%00b",
        "/admin/v1/sessions/a%00b",
    )
    async with viewed(store_url) as browser:
        statuses = {place: (await browser(place, headers=HERE)).status for place in places}
        assert {
            place: told for place, told in statuses.items() if told not in {200, 400, 404}
        } == {}
        assert "has not answered" not in (await browser("/", headers=HERE)).text
