"""What each role and each holder of a key sees, and that it is nothing of others."""

import dataclasses
import re
import time
from typing import Any

import pytest

from proxy.store.engine import open_engine
from proxy.store.keys import Keys
from proxy.store.rows import RowStore
from tests.admin.conftest import READER, WRITER
from tests.admin.viewing import ADMIN, ANNA, managed, viewed
from tests.store.rows import row

BENS = ("ben", "b-session", "b-agent", "b-model", "b-upstream", "b-tag", "b-client", "b-request")
NO_PAGES = ("/admin/v1/", "/static/", "/sign-", "/healthz", "/metrics")
VARIABLE = re.compile(r"\{\w+\}")


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
