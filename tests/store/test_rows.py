"""Each row is stored once, and counted once in its day."""

import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store import alerts
from proxy.store.retention import _give_back, sweep
from proxy.store.rows import MAX_ROWS, RowStore
from proxy.store.tables import DAY_SUMS, META, REQUEST
from tests.store.processes import act_at_once
from tests.store.rows import AT_MS, DAY_MS, days, opened, row, stored

_PROCESSES = 4
_ROWS = 1000
_WRITES = """
import random
store = RowStore(open_engine(url))
rows = [row(n + 1000 * number, key=f"key-{n % 50}") for n in range(1000)]
random.shuffle(rows)
for start in range(0, 1000, 50):
    assert store.put(rows[start : start + 50]) == 50
"""


def test_what_was_not_reported_stays_so(store_url: str) -> None:
    known = row(1, input_tokens=0, stream=1, cache_read_tokens=9, tag="repo=\U0001f600", requests=3)
    with opened(store_url) as engine:
        RowStore(engine).put([known])
        assert stored(engine) == [known]
        assert stored(engine)[0].cache_write_1h_tokens is None


def test_rows_with_different_columns_share_a_transaction_and_stay_what_they_are(
    store_url: str,
) -> None:
    given: list[dict[str, object]] = [
        {},
        {"tag": "a"},
        {},
        {"owner": "b", "tag": "c"},
        {"status": 0},
    ]
    rows = [row(n, **fields) for n, fields in enumerate(given)]
    with opened(store_url) as engine:
        store = RowStore(engine)
        assert store.put(rows) == len(rows)
        assert stored(engine) == rows
        assert store.put([row(1), row(9, tag="d"), row(10)]) == 2
        assert stored(engine) == [*rows, row(9, tag="d"), row(10)]


def test_a_sqlite_that_takes_few_values_a_statement_gets_no_more(
    sqlite_made: Path, tmp_path: Path
) -> None:
    def few(driver: sqlite3.Connection, _: object) -> None:
        driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    rows = [row(n) for n in range(MAX_ROWS)]
    with opened(f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}") as engine:
        sa.event.listen(engine, "connect", few)
        assert RowStore(engine).put(rows) == MAX_ROWS
        assert stored(engine) == rows


def test_a_row_that_comes_again_is_neither_stored_nor_counted_again(store_url: str) -> None:
    with opened(store_url) as engine:
        store = RowStore(engine)
        assert store.put([row(1), row(2)]) == 2
        assert store.put([row(1), row(2)]) == 0
        assert store.put([row(2), row(3), row(3), row(4)]) == 2
        assert store.put([]) == 0
        assert stored(engine) == [row(n) for n in (1, 2, 3, 4)]
        assert [(day["requests"], day["cost_micros"]) for day in days(engine)] == [(4, 28)]


ENDINGS: dict[str, tuple[dict[str, object], dict[str, int]]] = {
    "good": ({}, {}),
    "left": ({"cause": "client_closed", "usage_source": "partial"}, {"estimated": 1}),
    "limited": ({"cause": "limited_requests", "status": 429, "requests": 40}, {"refused": 40}),
    "over budget": ({"cause": "budget_spent", "status": 429}, {"refused": 1}),
    "wrong": ({"cause": "invalid_request", "status": 400}, {"refused": 1}),
    "upstream's": ({"cause": "upstream_error", "status": 529}, {"failed": 1}),
    "cut off": ({"cause": "draining", "status": 200}, {"failed": 1}),
    "turned away": ({"cause": "draining", "status": 529}, {"refused": 1}),
    "ours": ({"cause": "internal", "status": 500}, {"failed": 1}),
    "killed": (
        {"cause": "gateway_killed", "usage_source": "estimated"},
        {"failed": 1, "estimated": 1},
    ),
    "lost": ({"cause": "spool_full", "requests": 9}, {}),
}


def test_a_row_is_counted_by_how_it_ended(store_url: str) -> None:
    tokens = {"cache_write_5m_tokens": 3, "cache_read_tokens": 5, "web_searches": 1}
    rows = [
        row(n, key=name, **tokens, **fields)
        for n, (name, (fields, _)) in enumerate(ENDINGS.items())
    ]
    sums = dict.fromkeys(DAY_SUMS, 0) | tokens
    sums |= {"input_tokens": 10, "output_tokens": 2, "cost_micros": 7}
    group = {"day": 20_000, "owner": "", "model": "opus", "upstream": "a"}
    with opened(store_url) as engine:
        RowStore(engine).put(rows)
        assert {day["key"]: day for day in days(engine)} == {
            one.key: group | sums | {"key": one.key, "requests": one.requests} | counted
            for one, (_, counted) in zip(rows, ENDINGS.values(), strict=True)
        }


def test_a_day_ends_at_midnight_utc(store_url: str) -> None:
    with opened(store_url) as engine:
        RowStore(engine).put([row(n, at_ms=AT_MS + n) for n in (-1, 0, DAY_MS - 1, DAY_MS)])
        assert [(day["day"], day["requests"]) for day in days(engine)] == [
            (19_999, 1),
            (20_000, 2),
            (20_001, 1),
        ]


@pytest.mark.slow
def test_processes_that_count_the_same_keys_at_once_lose_nothing(store_url: str) -> None:
    """Elsewhere upserts in any order deadlock, and spend is dropped: BerriAI/litellm#27989, #34887."""
    with opened(store_url) as engine:
        act_at_once(_PROCESSES, store_url, _WRITES)
        assert len(stored(engine)) == _PROCESSES * _ROWS
        counted = {day["key"]: day["requests"] for day in days(engine)}
        assert counted == Counter(f"key-{n % 50}" for n in range(_PROCESSES * _ROWS))


def test_old_rows_are_deleted_in_batches_once_an_hour_and_their_sums_stay(store_url: str) -> None:
    """Elsewhere the table grows until the disk is full: BerriAI/litellm#29342, #41499."""
    old: list[Row] = [row(n, at_ms=AT_MS - 1 - n) for n in range(5_400)]
    now_ms = AT_MS + 7 * DAY_MS
    with opened(store_url) as engine:
        store = RowStore(engine)
        for start in range(0, len(old), MAX_ROWS):
            store.put(old[start : start + MAX_ROWS])
        store.put([row(9_999, at_ms=AT_MS)])
        sums = days(engine)
        assert sweep(engine, now_ms, 7) == len(old)
        assert sweep(engine, now_ms + 3_599_999, 7) is None
        assert stored(engine) == [row(9_999, at_ms=AT_MS)]
        assert days(engine) == sums
        assert sweep(engine, now_ms + 3_600_000, 7) == 1
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 0


def test_a_sweep_forgets_no_alert_whether_it_was_sent_or_is_on_its_way(store_url: str) -> None:
    """Else another machine tells it again: a month's budget is told once for a month, whatever rows are kept."""
    sent, claimed = ("budget_75", "key ci month", "2026-11"), ("session_spends", "s1", "hour")
    with opened(store_url) as engine:
        assert alerts.is_ours(engine, sent, AT_MS - 10 * DAY_MS, 900_000)
        alerts.settle(engine, sent, AT_MS - 10 * DAY_MS)
        assert alerts.is_ours(engine, claimed, AT_MS, 900_000)
        assert sweep(engine, AT_MS, 7) == 0
        assert not alerts.is_ours(engine, sent, AT_MS, 900_000)
        assert not alerts.is_ours(engine, claimed, AT_MS + 1_000, 900_000)


def test_a_clock_that_was_far_ahead_does_not_end_all_sweeping(store_url: str) -> None:
    with opened(store_url) as engine:
        assert sweep(engine, AT_MS + 365 * DAY_MS, 7) == 0
        assert sweep(engine, AT_MS, 7) == 0
        with engine.begin() as connection:
            due = sa.select(META.c.value).where(META.c.name == "sweeper")
            assert connection.execute(due).scalar() == AT_MS + 3_600_000


def test_what_is_stored_can_be_read_while_another_process_writes(
    sqlite_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shutil.copy(sqlite_made, tmp_path / "store.db")
    monkeypatch.setattr("proxy.store.engine._BUSY_S", 0)
    with opened(f"sqlite:///{file}") as writer, writer.begin() as others:
        others.execute(sa.update(META).values(value=1))
        with opened(f"sqlite:///{file}") as engine:
            assert stored(engine) == []


def test_a_sweep_leaves_the_file_as_large_as_it_is_while_others_write(
    sqlite_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shutil.copy(sqlite_made, tmp_path / "store.db")
    monkeypatch.setattr("proxy.store.engine._BUSY_S", 0)
    with opened(f"sqlite:///{file}") as engine:
        RowStore(engine).put([row(n) for n in range(MAX_ROWS)])
        with engine.begin() as connection:
            connection.execute(sa.delete(REQUEST))
        with engine.begin() as others:
            others.execute(sa.update(META).values(value=1))
            _give_back(engine)
        pages = "PRAGMA freelist_count"
        with engine.connect() as connection:
            assert connection.exec_driver_sql(pages).scalar() != 0
        _give_back(engine)
        with engine.connect() as connection:
            assert connection.exec_driver_sql(pages).scalar() == 0
