"""Signing in: what a wrong key costs, where a right one leads."""

import asyncio
import io

import pytest
from yarl import URL

from tests.admin.conftest import READER, WRITER
from tests.admin.viewing import ANNA, WRONG, managed, viewed


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
                {"key": WRONG},
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
