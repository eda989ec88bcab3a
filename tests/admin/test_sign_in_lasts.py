"""Who is signed in stays so over a restart, and on all machines of a store; and what signs is nobody's alone."""

import dataclasses
import time
from pathlib import Path

import pytest

from proxy import AdminKey
from proxy.access.keys import digest
from proxy.admin.page import cookies
from proxy.store.engine import open_engine
from proxy.store.migrate import ensure_current
from proxy.store.sign_in_secrets import sign_in_secrets
from tests.admin.conftest import READER, WRITER
from tests.admin.viewing import ADMIN, ANNA, Browser, managed, viewed
from tests.store.rows import opened

DAY_MS = 86_400_000
LENA = "ar-lena-0123456789-0123456789"
OK, ELSEWHERE = 200, 303


async def _status(browser: Browser, cookie: str, path: str = "/find") -> int:
    browser.cookie = cookie
    return (await browser(path)).status


@pytest.mark.parametrize("key", [WRITER, READER, ANNA, LENA])
async def test_a_restart_signs_nobody_out_and_every_machine_knows_who_is_in(
    store_url: str, key: str
) -> None:
    managed(store_url, "lena", LENA)
    async with viewed(store_url) as browser:
        await browser.sign_in(key)
        async with viewed(store_url) as beside:
            assert await _status(beside, browser.cookie) == OK
    async with viewed(store_url) as after:
        assert await _status(after, browser.cookie) == OK


async def test_a_changed_credential_signs_all_out_and_the_stores_secret_alone_signs_nothing(
    store_url: str,
) -> None:
    changed = dataclasses.replace(ADMIN, keys=(*ADMIN.keys[:1], AdminKey("eye", digest("x" * 30))))
    async with viewed(store_url) as browser, viewed(store_url, admin=changed) as other:
        await browser.sign_in(WRITER)
        assert await _status(browser, browser.cookie) == OK
        assert await _status(other, browser.cookie) == ELSEWHERE


async def test_who_signs_in_while_the_store_is_away_stays_in_when_it_is_back(
    tmp_path: Path,
) -> None:
    file = tmp_path / "store.db"
    url = f"sqlite:///{file}"
    with opened(url) as engine:
        ensure_current(engine)
    away = file.rename(tmp_path / "away.db")
    async with viewed(url) as browser:
        await browser.sign_in(WRITER)
        cookie = browser.cookie
        assert await _status(browser, cookie, "/live.json") != ELSEWHERE
        away.rename(file)
        assert await _status(browser, cookie) == OK


async def test_a_secret_that_another_machine_has_made_is_asked_for(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cookies, "_LOOKED_AGAIN_AFTER_S", 0.0)
    async with viewed(store_url) as browser, viewed(store_url) as other:
        await browser.sign_in(WRITER)
        with opened(store_url) as engine:
            sign_in_secrets(engine, int(time.time() * 1000) + 31 * DAY_MS)
        await other.sign_in(WRITER)
        assert await _status(browser, other.cookie) == OK
        assert await _status(browser, other.cookie[:-2] + "AA") == ELSEWHERE


def test_a_secret_is_renewed_each_month_and_the_one_before_stays_good(store_url: str) -> None:
    with opened(store_url) as engine:
        (first,) = sign_in_secrets(engine, 1)
        assert sign_in_secrets(engine, 29 * DAY_MS) == [first]
        known = [first]
        for month in range(1, 5):
            at_ms = month * 31 * DAY_MS
            found = sign_in_secrets(engine, at_ms)
            assert found[:-1] == known[-len(found) + 1 :]
            assert sign_in_secrets(engine, at_ms + 1) == found
            known.append(found[-1])
        assert len(set(known)) == len(known)
        assert len(found) == 3
        assert all(len(each) == 64 for each in known)


def test_two_that_make_the_first_secret_at_once_agree(store_url: str) -> None:
    one, other = open_engine(store_url), open_engine(store_url)
    try:
        assert sign_in_secrets(one, 5) == sign_in_secrets(other, 5)
        assert len(sign_in_secrets(one, 40 * DAY_MS)) == 2
    finally:
        one.dispose()
        other.dispose()
