"""Which requests the guard lets in to the pages, and what every response and cookie forbids."""

import dataclasses

import pytest

from proxy.admin import guard
from tests.admin.conftest import READER, WRITER
from tests.admin.viewing import ADMIN, ANNA, WRONG, managed, viewed

WITH_A_KEY = {"x-api-key": WRITER}


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
