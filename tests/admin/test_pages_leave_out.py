"""Of more requests than can be looked at within the time, a page tells the newest, and what it leaves out."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from proxy.store import newest
from proxy.store.rows import RowStore
from proxy.store.scope import Scope
from tests.admin.conftest import READER
from tests.admin.viewing import ANNA, viewed
from tests.store.rows import AT_MS, opened, row

_MOST = 3
NOW_MS = int(time.time() * 1000) - 60_000
LEFT_OUT = "Not all:"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it look at three requests."""
    monkeypatch.setattr(newest, "MOST", _MOST)


def _rows(at_ms: int, count: int, **fields: Any) -> list[Any]:
    return [row(n, at_ms=at_ms + n, key="anna", session_id=f"s{n}", **fields) for n in range(count)]


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    """Give a store with five requests of a key, the third of which failed."""
    with opened(store_url) as engine:
        RowStore(engine).put(_rows(AT_MS, 5))
        RowStore(engine).put([row(9, at_ms=AT_MS + 2, key="ben", cause="internal")])
        yield engine


@pytest.mark.parametrize(
    ("scope", "by", "failed", "since_ms"),
    [
        (Scope(), ("session",), False, AT_MS + 3),
        (Scope(key="anna"), ("session", "client"), False, AT_MS + 2),
        (Scope(key="anna", since_ms=AT_MS + 2), ("session",), False, None),
        (Scope(key="ben"), ("session",), False, None),
        (Scope(), ("cause",), True, None),
        (Scope(), ("key", "day"), False, None),
        (Scope(since_ms=AT_MS), ("key", "hour"), False, None),
        (Scope(since_ms=AT_MS + 1), ("key", "hour"), False, AT_MS + 3),
    ],
)
def test_the_newest_are_told_unless_sums_tell_or_they_are_few(
    *, engine: sa.Engine, scope: Scope, by: tuple[str, ...], failed: bool, since_ms: int | None
) -> None:
    found = newest.newest(engine, scope, by, failed=failed)
    if since_ms is None:
        assert found is scope
    else:
        # Of those of one millisecond all or none.
        assert (found.since_ms, found.key) == (since_ms, scope.key)


@pytest.mark.parametrize("key", [READER, ANNA])
async def test_pages_of_many_requests_say_what_they_leave_out(
    store_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(store_url) as engine:
        RowStore(engine).put(_rows(NOW_MS, 5, cause="upstream_cut", cost_micros=7))
    async with viewed(store_url) as browser:
        await browser.sign_in(key)
        for path in ("spend?by=session,client&since=30d", "sessions", "errors?since=7d"):
            assert LEFT_OUT in (await browser(f"/{path}")).text, path
        told = json.loads((await browser("/spend.json?by=session,client&since=30d")).text)
        assert sorted(each["first"] for each in told["rows"]) == ["s2", "s3", "s4"]
        assert told["left_out_before_ms"] == NOW_MS + 2
        monkeypatch.setattr(newest, "MOST", 5)
        for path in ("spend?by=session&since=30d", "spend", "sessions?since=7d", "errors"):
            assert LEFT_OUT not in (await browser(f"/{path}")).text, path
