"""Who is let in to the pages, from where, and what they see of others."""

import asyncio
import dataclasses
import io
import re
import time
from typing import Any

import pytest
from yarl import URL

from proxy.admin import guard
from proxy.store.engine import open_engine
from proxy.store.keys import Keys
from proxy.store.rows import RowStore
from tests.admin.conftest import READER, WRITER
from tests.admin.viewing import ADMIN, ANNA, managed, viewed
from tests.store.rows import row

BENS = ("ben", "b-session", "b-agent", "b-model", "b-upstream", "b-tag", "b-client", "b-request")
NO_PAGES = ("/admin/v1/", "/static/", "/sign-", "/healthz", "/metrics")
VARIABLE = re.compile(r"\{\w+\}")
WRONG = "ar-wrong-0123456789"
WITH_A_KEY = {"x-api-key": WRITER}


def _store_one_of_each(url: str) -> None:
    """Store a request of anna's, and one of ben's that has his own in every field."""
    now_ms = int(time.time() * 1000)
    ben = {
        "key": "ben",
        "session_id": "b-session",
        "agent_id": "b-agent",
        "served_model": "b-model",
        "model": "b-model",
        "upstream": "b-upstream",
        "tag": "b-tag",
        "client": "b-client",
        "upstream_request_id": "b-request",
    }
    engine = open_engine(url)
    try:
        RowStore(engine).put(
            [row(1, at_ms=now_ms, key="anna"), row(2, at_ms=now_ms, **ben)],
        )
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("", 421),
        ("[::1", 421),
        ("evil.example\\@127.0.0.1", 421),
        ("evil.example#@127.0.0.1", 421),
        ("user@127.0.0.1", 421),
        ("127.0.0.1/evil.example", 421),
        ("127.0.0.1:8081:evil", 421),
        ("localhost:8081", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:9", 200),
        ("10.0.0.5:8081", 200),
        ("[::1]:8081", 200),
        ("view.example.com", 200),
        ("View.Example.com.:443", 200),
    ],
)
async def test_only_names_that_are_known_are_served(store_url: str, host: str, status: int) -> None:
    admin = dataclasses.replace(ADMIN, hosts=("view.example.com",))
    async with viewed(store_url, admin=admin) as browser:
        told = await browser("/sign-in", headers={"host": host})
        assert told.status == status
        assert told.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://{host}"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "http://{host}"}, 303),
        ({}, 303),
    ],
)
async def test_only_a_page_of_this_origin_may_change_something(
    store_url: str, sent: dict[str, str], status: int
) -> None:
    async with viewed(store_url) as browser:
        host = browser.url.removeprefix("http://")
        headers = {name: value.format(host=host) for name, value in sent.items()}
        for path in ("/sign-in", "/sign-out"):
            told = await browser(path, "POST", data={"key": WRITER}, headers=headers)
            assert told.status == status, path
            assert ("set-cookie" in told.headers) == (status == 303)


async def test_a_credential_in_a_header_needs_neither_name_nor_origin(store_url: str) -> None:
    managed(store_url, "cleo", stored := "ar-cleo-0123456789-0123456789")
    foreign = {"host": "evil.example", "sec-fetch-site": "cross-site"}
    async with viewed(store_url) as browser:
        assert (await browser("/admin/v1/owners", headers=foreign)).status == 421
        told = await browser("/admin/v1/owners", headers=foreign | WITH_A_KEY)
        assert told.status == 200
        for key in (READER, ANNA, stored):
            assert (await browser("/spend", headers=foreign | {"x-api-key": key})).status == 200


@pytest.mark.parametrize(
    "path", ["/admin/v1/owners", "/overview", "/sign-in", "/metrics", "/healthz"]
)
async def test_a_key_that_opens_nothing_does_not_make_a_name_known(
    store_url: str, path: str
) -> None:
    async with viewed(store_url) as browser:
        for _ in range(7):
            told = await browser(path, headers={"host": "evil.example", "x-api-key": WRONG})
            assert told.status == 421


async def test_every_response_forbids_what_pages_do_not_need(store_url: str) -> None:
    async with viewed(store_url) as browser:
        for path in ("/sign-in", "/", "/nowhere", "/admin/v1/keys", "/healthz", "/overview.json"):
            told = await browser(path)
            assert guard.HEADERS.items() <= told.headers.items(), path
        page = await browser("/sign-in")
        assert " style=" not in page.text
        assert "<style" not in page.text
        sheet = page.text.split('<link rel="stylesheet" href="')[1].partition('"')[0]
        told = await browser(sheet)
        assert told.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert told.headers["content-security-policy"]
        other = await browser(sheet.replace("/static/", "/static/0"))
        assert other.headers["cache-control"] == "no-store"
        assert (await browser(sheet.rpartition("/")[0] + "/none.css")).status == 404


@pytest.mark.parametrize("is_https", [False, True])
async def test_the_cookie_is_for_this_site_and_no_script(store_url: str, is_https: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    admin = dataclasses.replace(ADMIN, behind_https=is_https)
    async with viewed(store_url, admin=admin) as browser:
        told = await browser.sign_in(WRITER)
        ((name, cookie),) = told.cookies.items()
        assert name.startswith("__Host-") == is_https
        assert bool(cookie["secure"]) == is_https
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert cookie["max-age"] == "43200"
        assert WRITER not in cookie.value
        assert (await browser("/")).status == 200
        signed_out = await browser("/sign-out", "POST")
        assert signed_out.cookies[name]["max-age"] == "0"


async def test_a_cookie_that_was_changed_or_is_another_gateways_opens_nothing(
    store_url: str,
) -> None:
    async with viewed(store_url) as browser, viewed(None) as other:
        await other.sign_in(WRITER)
        browser.cookie = other.cookie
        assert (await browser("/")).status == 303
        await browser.sign_in(WRITER)
        browser.cookie = browser.cookie[:-2] + "AA"
        assert (await browser("/")).status == 303


async def test_the_sixth_wrong_try_of_a_minute_is_refused(store_url: str) -> None:
    async with viewed(store_url) as browser:
        for _ in range(5):
            told = await browser.sign_in(WRONG)
            assert told.status == 401
            assert not told.cookies
        told = await browser.sign_in(WRONG)
        assert (told.status, told.headers["retry-after"]) == (429, "60")
        assert not told.cookies


async def test_wrong_tries_at_once_are_no_more_than_one_after_the_other(store_url: str) -> None:
    async with viewed(store_url) as browser:
        told = await asyncio.gather(*(browser.sign_in(f"{WRONG}{n}") for n in range(30)))
    assert sorted(each.status for each in told) == [401] * 5 + [429] * 25


@pytest.mark.parametrize("path", ["/overview", "/overview.json"])
async def test_a_wrong_key_in_a_header_is_one_try(store_url: str, path: str) -> None:
    async with viewed(store_url) as browser:
        for _ in range(4):
            await browser(path, headers={"x-api-key": WRONG})
        assert [(await browser.sign_in(WRONG)).status for _ in range(2)] == [401, 429]


async def test_wrong_tries_of_an_address_do_not_keep_its_right_keys_out(store_url: str) -> None:
    managed(store_url, "cleo", known := "ar-cleo-0123456789-0123456789")
    async with viewed(store_url) as browser:
        assert (await browser.sign_in(known)).status == 303
        browser.cookie = ""
        for _ in range(6):
            told = await browser.sign_in(WRONG)
        assert told.status == 429
        for key in (WRITER, READER, ANNA, known):
            assert (await browser("/spend", headers={"x-api-key": key})).status == 200
            assert (await browser.sign_in(key)).status == 303


async def test_right_keys_are_no_wrong_tries(store_url: str) -> None:
    for n in range(8):
        managed(store_url, f"key-{n}", f"ar-cleo-0123456789-0123456789-{n}")
    async with viewed(store_url) as browser:
        for n in range(8):
            assert (await browser.sign_in(f"ar-cleo-0123456789-0123456789-{n}")).status == 303


async def test_behind_a_trusted_proxy_each_client_has_its_own_tries(store_url: str) -> None:
    async with viewed(store_url, trusted_proxies=("127.0.0.1",)) as browser:
        for address, status in (*[("10.0.0.1", 401)] * 5, ("10.0.0.1", 429), ("10.0.0.2", 401)):
            told = await browser.sign_in(WRONG, headers={"x-forwarded-for": f"10.9.9.9, {address}"})
            assert told.status == status


async def test_a_wrong_key_a_blank_one_and_one_that_is_no_text_are_told_alike(
    store_url: str,
) -> None:
    async with viewed(store_url) as browser:
        said = {
            (await browser("/sign-in", "POST", data=data)).text
            for data in (
                {"key": "ar-wrong-0123456789"},
                {"key": ""},
                {"key": io.BytesIO(b"\xff")},
                {},
            )
        }
        assert len(said) == 1


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/overview?since=7d", "/overview?since=7d"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("", "/"),
    ],
)
async def test_signing_in_leads_back_to_a_page_of_this_origin_only(
    store_url: str, wanted: str, goes_to: str
) -> None:
    async with viewed(store_url) as browser:
        told = await browser("/sign-in", "POST", data={"key": WRITER, "next": wanted})
        assert (told.status, told.headers["location"]) == (303, goes_to)


async def test_who_is_not_signed_in_comes_to_the_sign_in_and_programs_get_a_401(
    store_url: str,
) -> None:
    async with viewed(store_url) as browser:
        told = await browser(wanted := "/overview?pause=1&a=%26b")
        assert told.status == 303
        assert URL(told.headers["location"]).query["next"] == wanted
        for path in ("/overview.json", "/overview.csv"):
            told = await browser(path)
            assert (told.status, told.headers["content-type"]) == (401, "application/json")
        told = await browser("/", headers={"hx-request": "true"})
        assert told.headers["hx-refresh"] == "true"


async def test_a_role_that_reads_looks_and_cannot_act(store_url: str) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(READER)
        assert (await browser("/")).status == 200
        told = await browser(
            "/admin/v1/keys", "POST", json={"name": "x"}, headers={"x-api-key": READER}
        )
        assert told.status == 403
        # The cookie opens pages only: what changes something is asked with a credential.
        for key in (READER, WRITER):
            await browser.sign_in(key)
            assert (await browser("/admin/v1/keys", "POST", json={"name": "x"})).status == 401


async def test_holders_of_keys_sign_in_unless_they_may_not(store_url: str) -> None:
    managed(store_url, "cleo", secret := "ar-cleo-0123456789-0123456789")
    async with viewed(store_url) as browser:
        for key in (ANNA, secret):
            told = await browser.sign_in(key)
            assert (told.status, told.headers["location"]) == (303, "/me")
            assert (await browser("/")).headers["location"] == "/me"
    async with viewed(store_url, admin=dataclasses.replace(ADMIN, key_holders=False)) as browser:
        for key in (ANNA, secret):
            assert (await browser.sign_in(key)).status == 401


@pytest.mark.parametrize("end", ["rotate", "delete", "disable"])
async def test_a_key_that_is_ended_is_signed_out_at_once(store_url: str, end: str) -> None:
    managed(store_url, "cleo", secret := "ar-cleo-0123456789-0123456789")
    async with viewed(store_url) as browser:
        await browser.sign_in(secret)
        assert (await browser("/")).headers["location"] == "/me"
        engine = open_engine(store_url)
        try:
            keys = Keys(engine, "test")
            if end == "rotate":
                keys.rotate("cleo", "0" * 64, 0, int(time.time() * 1000))
            elif end == "delete":
                keys.delete("cleo", 2)
            else:
                keys.update("cleo", _disabled, 2)
        finally:
            engine.dispose()
        assert (await browser("/")).headers["location"] == "/sign-in?next=/"


def _disabled(record: Any) -> Any:
    return type(record)(name=record.name, disabled=True, created_at_ms=1, secrets=record.secrets)


async def test_a_keys_holder_finds_nothing_of_others_under_any_path(store_url: str) -> None:
    _store_one_of_each(store_url)
    async with viewed(store_url) as browser:
        await browser.sign_in(ANNA)
        for resource in browser.app.router.resources():
            path, is_page, _ = resource.canonical.partition("{form}")
            if not is_page:
                assert path.startswith(NO_PAGES) or path == "/", path
                continue
            for form in ("", ".html", ".json", ".csv"):
                for asked in BENS:
                    place = VARIABLE.sub(asked, path) + form
                    if "{" in path:
                        assert (await browser(place)).status == 404, place
                    for query in ("", f"?key={asked}", f"?session={asked}", f"?q={asked}"):
                        told = await browser(place + query)
                        assert told.status in (200, 303, 400, 404), place + query
                        for each in {*BENS} - {asked}:
                            assert each not in told.text, place + query
