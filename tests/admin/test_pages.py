"""What the pages say of a ledger: an empty one, one that is full of markup, and one that does not answer."""

import contextlib
import csv
import dataclasses
import gzip
import io
import time
from pathlib import Path
from typing import Any

import pytest

from proxy import Certificate, Key, Listen
from proxy.access.keys import digest
from proxy.admin.page import tables
from proxy.store import usage
from tests.admin.conftest import WRITER
from tests.admin.viewing import ADMIN, ANNA, managed, model, put, viewed
from tests.store.rows import row

MARKUP = "\"><script>alert(1)</script><b a='"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"
PAGES = ("/", "/keys", "/keys/anna", "/spend", "/sessions", "/cache", "/find?q=a")
_MAX_ZIPPED_BYTES = 15_000


async def test_an_empty_ledger_waits_for_the_first_request_and_turns_into_its_page(
    store_url: str,
) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        page = await browser("/")
        assert "Waiting for the first request" in page.text
        assert "export ANTHROPIC_BASE_URL=http://" in page.text
        assert 'hx-get="/?waiting=1"' in page.text
        assert (await browser("/?waiting=1")).status == 200
        put(store_url, {})
        id_ = row(1).id
        polled = {"hx-request": "true"}
        async with viewed(store_url) as other:
            await other.sign_in(WRITER)
            told = await other("/?waiting=1", headers=polled)
            assert told.headers["hx-redirect"] == f"/requests/{id_}"
            assert (await other("/?waiting=1")).headers["location"] == f"/requests/{id_}"
            assert "Nothing needs you." in (await other("/")).text


async def test_of_a_ledger_younger_than_a_quarter_of_an_hour_nothing_is_projected(
    store_url: str,
) -> None:
    put(store_url, {"cost_micros": 5})
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        assert (await model(browser, "/overview.json"))["hourly_micros"] is None
        assert "too soon to tell" in (await browser("/overview")).text


async def test_the_overview_sums_what_the_ledger_has(store_url: str) -> None:
    put(
        store_url,
        {"cost_micros": 5, "session_id": "s1", "agent_id": "a1"},
        {"cost_micros": 7, "key": "ben", "status": 502, "cause": "upstream_failed"},
        {"cost_micros": 11, "at_ms": int(time.time() * 1000) - 86_400_000},
    )
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        told = await model(browser, "/overview.json")
        assert told["today"]["cost_micros"] == told["recent"]["cost_micros"] == 12
        assert told["hourly_micros"] == 48
        assert (told["today"]["requests"], told["today"]["failed"]) == (2, 1)
        assert told["usual_micros"] == 11
        assert sum(each["cost_micros"] for each in told["days"]) == 23
        assert [(each["key"], each["cost_micros"]) for each in told["keys"]] == [
            ("ben", 7),
            ("anna", 5),
        ]
        assert [each["hours"][-1] for each in told["keys"]] == [7, 5]
        assert [(each["id"], each["agents"]) for each in told["sessions"]] == [("s1", 1)]
        rows = list(csv.DictReader(io.StringIO((await browser("/overview.csv")).text)))
        assert [(each["key"], each["cost_micros"]) for each in rows] == [
            ("ben", "7"),
            ("anna", "5"),
        ]


async def test_pages_say_until_when_cache_breaks_were_looked_for(store_url: str) -> None:
    began_ms = int(time.time() * 1000)
    put(store_url, {})
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        assert (await model(browser, "/overview.json"))["looked_until_ms"] is None
        assert "0 breaks" in (await browser("/overview")).text
        assert "No cache break in this time." in (await browser("/cache")).text
    put(store_url, {"id": "req_before", "at_ms": began_ms - 86_400_000})
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        told = await model(browser, "/overview.json")
        assert told["looked_until_ms"] == began_ms - 86_400_000
        text = (await browser("/overview")).text
        assert ("looked for until" in text, "0 breaks" in text) == (True, False)
        # That nothing was lost is not known.
        assert 'cache">not yet</a>' in text
        text = (await browser("/cache")).text
        assert ("So far only until" in text, "No cache break in" in text) == (True, False)


async def test_the_overview_is_of_one_moment_whatever_comes_while_it_is_made(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store_url, {"cost_micros": 5})
    asked = usage.requests

    def asked_while_one_comes(*args: Any, **kwargs: Any) -> Any:
        put(store_url, {"id": "req_later", "cost_micros": 7})
        return asked(*args, **kwargs)

    monkeypatch.setattr(usage, "requests", asked_while_one_comes)
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        told = await model(browser, "/overview.json")
    assert told["today"]["cost_micros"] == sum(each["cost_micros"] for each in told["days"]) == 5


@pytest.mark.parametrize("field", ["id", "upstream_request_id", "session_id", "agent_id"])
async def test_the_only_thing_of_an_id_is_found_at_once(store_url: str, field: str) -> None:
    put(store_url, {field: "wanted-1", "session_id": "s1"} | {field: "wanted-1"}, {"key": "ben"})
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        told = await browser("/find?q=wanted-1")
        assert told.status == 303
        of_session = {"session_id": "wanted-1", "agent_id": "s1"}
        id_ = "wanted-1" if field == "id" else row(1).id
        place = f"/sessions/{of_session[field]}" if field in of_session else f"/requests/{id_}"
        assert told.headers["location"] == place
        assert (await browser("/find?q=ben")).headers["location"] == "/keys/ben"
        assert "0 things found" in (await browser("/find?q=nothing")).text


async def test_markup_in_whatever_a_client_names_is_shown_as_text(store_url: str) -> None:
    names = ("session_id", "agent_id", "served_model", "model", "upstream", "tag", "client")
    put(
        store_url,
        dict.fromkeys(names, MARKUP)
        | {"key": MARKUP, "owner": MARKUP, "cause": MARKUP, "status": 400, "cost_micros": 5},
    )
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        seen = 0
        for path in (*PAGES, f"/requests/{row(1).id}", "/find?q=%22", "/nope%3Cscript%3Ealert"):
            told = await browser(path)
            assert "<script>alert" not in told.text, path
            assert "onload" not in told.text
            seen += ESCAPED in told.text
        assert seen >= 4


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        # Where a spreadsheet's cells end at semicolons, this would be the next one.
        ("repo;=1+1", "repo;'=1+1"),
        ('repo; "@SUM(A1)"', 'repo;\' "@SUM(A1)"'),
        ("repo\n+1", "repo\n'+1"),
        ("claude-code/2.1;a-b", "claude-code/2.1;a-b"),
    ],
)
def test_no_part_of_a_cell_is_a_formula(text: str, written: str) -> None:
    assert tables.cell(text) == written


async def test_a_cell_of_a_table_is_no_formula(store_url: str) -> None:
    put(store_url, {"key": "=1+1", "cost_micros": 5})
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        assert "'=1+1" in (await browser("/overview.csv")).text


async def test_pages_are_small_and_whole_without_scripts(store_url: str) -> None:
    put(store_url, *({"key": f"key-{n}", "session_id": f"s{n}"} for n in range(100)))
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        for path in PAGES:
            page = (await browser(path)).text
            assert len(gzip.compress(page.encode())) <= _MAX_ZIPPED_BYTES, path
            assert "onclick" not in page
            assert " style=" not in page
        assert "key-1" in (await browser("/")).text


async def test_sessions_are_nowhere_when_they_may_not_be_shown(store_url: str) -> None:
    put(store_url, {"session_id": "s-secret", "agent_id": "a-secret"})
    admin = dataclasses.replace(ADMIN, sessions=False)
    async with viewed(store_url, admin=admin) as browser:
        await browser.sign_in(WRITER)
        for path in ("/sessions", "/sessions/s-secret", "/sessions.json"):
            assert (await browser(path)).status == 404
        for path in ("/", "/overview.json", "/keys/anna", "/find?q=s-sec"):
            told = await browser(path)
            assert "s-secret" not in told.text, path
            assert "a-secret" not in told.text, path


async def test_a_store_that_is_gone_is_told_with_the_time_since_when(tmp_path: Path) -> None:
    file = tmp_path / "none" / "store.db"
    file.parent.write_text("no folder")
    async with viewed(f"sqlite:///{file}") as browser:
        await browser.sign_in(WRITER)
        began_s = time.monotonic()
        for path in ("/", "/keys", "/overview.json"):
            told = await browser(path)
            assert told.status == 503, path
            assert ("has not answered since" in told.text) == (path != "/overview.json")
        assert time.monotonic() - began_s < 15
        assert (await browser("/sign-in")).status == 200
        assert (await browser("/find")).status == 200


async def test_where_the_store_is_is_told_to_no_keys_holder(tmp_path: Path) -> None:
    file = tmp_path / "none" / "store.db"
    file.parent.write_text("no folder")
    async with viewed(f"sqlite:///{file}", keys=(Key("anna", digest(ANNA)),)) as browser:
        for credential, is_told in ((WRITER, True), (ANNA, False)):
            await browser.sign_in(credential)
            for path in ("/spend", "/spend.json"):
                told = await browser(path)
                assert (told.status, "the store does not answer" in told.text.lower()) == (
                    503,
                    True,
                )
                assert (file.name in told.text) == is_told, path


async def test_without_a_store_pages_of_money_say_what_is_missing() -> None:
    async with viewed(None) as browser:
        await browser.sign_in(WRITER)
        told = await browser("/")
        assert told.status == 503
        assert "see <code>store</code> in the configuration" in told.text


async def test_nothing_secret_is_in_any_page_or_model(store_url: str) -> None:
    secret = "ar-cleo-0123456789-0123456789"
    managed(store_url, "cleo", secret)
    put(store_url, {"key": "cleo", "session_id": "s1"})
    async with viewed(store_url) as browser:
        for key in (WRITER, secret):
            await browser.sign_in(key)
            for path in (*PAGES, "/me", "/sessions/s1", "/sign-in", f"/find?q={secret[:12]}"):
                for form in ("", ".json", ".csv"):
                    place = path.replace("?", f"{form}?") if "?" in path else path + form
                    with contextlib.suppress(UnicodeDecodeError):
                        text = (await browser(place.replace("/.", "/overview."))).text
                        for canary in (WRITER, secret, digest(secret), digest(WRITER)):
                            assert canary not in text, place


@pytest.mark.parametrize(
    ("tls", "base_url"),
    [(None, "http://127.0.0.1:9/api"), (Certificate("/cert.pem"), "https://127.0.0.1:9/api")],
)
async def test_pages_show_the_base_url_by_the_scheme_that_is_served(
    store_url: str, tls: Certificate | None, base_url: str
) -> None:
    async with viewed(store_url, listen=Listen(port=9, tls=tls)) as browser:
        await browser.sign_in(WRITER)
        for path in ("/overview.json", "/keys/anna.json"):
            assert f'"base_url":"{base_url}"' in (await browser(path)).text
