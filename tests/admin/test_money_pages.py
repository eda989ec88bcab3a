"""The pages of money say what the rows say, the sum of each request included."""

import csv
import dataclasses
import io
import json
import time
from typing import Any

import pytest

from proxy.admin.breaks import look
from proxy.admin.context import CONTEXT
from proxy.admin.workers import SocketWorkers
from proxy.store.engine import open_engine
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER
from tests.admin.viewing import ADMIN, ANNA, Browser, viewed
from tests.store.rows import row

MIN_MS = 60_000
MARKUP = "<script>alert(1)</script>"
OPUS = {
    "model": "claude-opus-5.5",
    "served_model": "claude-opus-5-5",
    "upstream_model": "claude-opus-5-5",
    "price": "claude-opus-5-5@2026-11-20",
    "total_ms": 1500,
    "first_byte_ms": 400,
    "gateway_us": 900,
    "attempts": 1,
    "billed_entries": 1,
}
# In micro-dollars, at dollars per million tokens.
COST = 100 * 4 + 100_000 * 5 + 50 * 20


def _store(url: str) -> list[str]:
    """Store a session of anna's with an agent and a break, and a request of ben's; return the ids."""
    now_ms = int(time.time() * 1000) - 20 * MIN_MS
    written: dict[str, Any] = {
        **OPUS,
        "key": "anna",
        "session_id": "s/1",
        "prompt_id": "p1",
        "client": "claude-cli/2.1.332",
        "tag": MARKUP,
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_write_5m_tokens": 100_000,
        "cache_read_tokens": 0,
        "cost_micros": COST,
    }
    rows = [
        row(1, at_ms=now_ms, **written),
        row(2, at_ms=now_ms + 6 * MIN_MS, **written),
        row(3, at_ms=now_ms + 7 * MIN_MS, agent_id="a1", agent_type="Explore", **written),
        row(4, at_ms=now_ms, key="ben", session_id="bens", cost_micros=3),
    ]
    engine = open_engine(url)
    try:
        RowStore(engine).put(rows)
    finally:
        engine.dispose()
    return [each.id for each in rows]


async def _looked(browser: Browser) -> None:
    await look(browser.app[CONTEXT], SocketWorkers(()), int(time.time() * 1000))


PATHS = (
    "/spend",
    "/spend?by=session,tag",
    "/sessions",
    "/sessions/s%2F1",
    "/cache",
    "/requests/{}",
)


async def test_every_page_is_shown_and_its_json_has_the_same(store_url: str) -> None:
    first, *_ = _store(store_url)
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        await _looked(browser)
        for path in PATHS:
            told = await browser(path.format(first))
            assert told.status == 200, path
            assert MARKUP not in told.text
            name, _, query = path.format(first).partition("?")
            assert json.loads((await browser(f"{name}.json?{query}")).text), path


async def test_sums_are_equal_everywhere_they_are_shown(store_url: str) -> None:
    _store(store_url)
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        await _looked(browser)
        spend = json.loads((await browser("/spend.json?by=key")).text)
        assert {each["first"]: each["cost_micros"] for each in spend["rows"]} == {
            "anna": 3 * COST,
            "ben": 3,
        }
        session = json.loads((await browser("/sessions/s%2F1.json")).text)
        assert session["session"]["cost_micros"] == 3 * COST
        assert session["session"]["agents_micros"] == COST
        (prompt, agent) = session["lines"]
        assert (prompt["own_micros"], prompt["below_micros"]) == (2 * COST, 3 * COST)
        assert (agent["depth"], agent["agent_type"]) == (1, "Explore")
        cache = json.loads((await browser("/cache.json")).text)
        (reason,) = cache["reasons"]
        assert reason["reason"] == "idle"
        assert reason["cost_micros"] == cache["lost_micros"] == prompt["breaks_micros"] == 480_000
        assert cache["cost_micros"] == 3 * COST + 3
        rows = csv.DictReader(io.StringIO((await browser("/sessions/s%2F1.csv")).text))
        assert sum(int(each["cost_micros"]) for each in rows) == 3 * COST


async def test_the_sum_of_a_request_is_shown_step_by_step(store_url: str) -> None:
    first, second, *_ = _store(store_url)
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        await _looked(browser)
        text = (await browser(f"/requests/{first}")).text
        for shown in ("$0.000400", "$4.00/M", "$0.500000", "$0.001000", "$0.501400", "charged"):
            assert shown in text
        assert "which is what counts" not in text
        assert (
            "100,000 tokens missed, idle after 6 min" in (await browser(f"/requests/{second}")).text
        )


async def test_what_another_price_charged_is_not_explained_by_this_one(store_url: str) -> None:
    engine = open_engine(store_url)
    RowStore(engine).put([row(1, **OPUS, cost_micros=77)])
    engine.dispose()
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        text = (await browser(f"/requests/{row(1).id}")).text
        assert "The ledger has $0.000077, which is what counts" in text


async def test_a_key_sees_its_own_part(store_url: str) -> None:
    *_, bens = _store(store_url)
    async with viewed(store_url) as browser:
        await browser.sign_in(ANNA)
        for path in (f"/requests/{bens}", "/sessions/bens", "/sessions/bens.json"):
            assert (await browser(path)).status == 404
        for path in (
            "/spend.json?by=key",
            "/spend.json?by=key&key=ben",
            "/sessions.json",
            "/cache.json",
        ):
            told = await browser(path)
            assert "ben" not in told.text or told.status == 404


async def test_where_sessions_are_not_shown_none_is_anywhere(store_url: str) -> None:
    first, *_ = _store(store_url)
    async with viewed(store_url, admin=dataclasses.replace(ADMIN, sessions=False)) as browser:
        await browser.sign_in(WRITER)
        for path in ("/sessions", "/sessions/s%2F1"):
            assert (await browser(path)).status == 404
        assert (await browser("/spend?by=session")).status == 400
        for path in (f"/requests/{first}", f"/requests/{first}.json", "/cache", "/spend"):
            told = await browser(path)
            assert told.status == 200
            assert "s/1" not in told.text
            assert "s%2F1" not in told.text


@pytest.mark.parametrize(
    "path",
    [
        "/spend?by=colour",
        "/spend?by=key,model,day",
        "/spend?since=x",
        "/sessions?order=size",
        "/sessions?page=x",
    ],
)
async def test_what_cannot_be_asked_is_a_400(store_url: str, path: str) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        assert (await browser(path)).status == 400


async def test_an_empty_ledger_has_its_pages(store_url: str) -> None:
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        for path in ("/spend", "/sessions", "/cache"):
            assert (await browser(path)).status == 200
