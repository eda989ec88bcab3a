"""Rows come into the store, each once; the store's troubles are nobody else's."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.ledger import spooler
from proxy.ledger.first_file import make_file
from proxy.ledger.row import Row
from proxy.ledger.spool import Spool
from proxy.store.engine import _BUSY_S
from proxy.store.rows import RowStore
from proxy.store.spent import Spent
from tests.ledger.rows import ledger, until
from tests.store.rows import AT_MS, days, opened, row, stored

_TROUBLES = ("proxy.ledger.outages", "proxy.ledger.writer", "proxy.ledger.spooler")


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name in _TROUBLES]


async def test_rows_are_stored_while_it_runs_and_nothing_stays_on_the_disk(
    store_url: str, tmp_path: Path
) -> None:
    rows = [row(n) for n in range(1_000)]
    async with ledger(store_url, tmp_path) as running:
        for each in rows:
            running.add(each)
        await until(lambda: running.status().stored_rows and not running.status().spooled_rows)
        status = running.status()
        assert (status.store_up, status.stored_rows, status.lost_rows) == (True, len(rows), 0)
    with opened(store_url) as engine:
        assert stored(engine) == rows
    assert list((tmp_path / "spool").iterdir()) == []


async def test_rows_taken_just_before_the_end_are_stored(store_url: str, tmp_path: Path) -> None:
    """Elsewhere rows are lost at shutdown, and at a cancelled flush: BerriAI/litellm#38157, #34820."""
    async with ledger(store_url, tmp_path) as running:
        for n in range(500):
            running.add(row(n))
    with opened(store_url) as engine:
        assert len(stored(engine)) == 500
        assert [day["requests"] for day in days(engine)] == [500]


async def test_a_store_that_stands_still_delays_nothing_and_rows_reach_the_disk(
    tmp_path: Path, store_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store's transaction waits; the event loop and the spool do not."""
    holder = sqlite3.connect(store_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    async with ledger(f"sqlite:///{store_file}", tmp_path) as running:
        slowest_s = 0.0
        for n in range(200):
            before_s = time.perf_counter()
            running.add(row(n))
            slowest_s = max(slowest_s, time.perf_counter() - before_s)
            await asyncio.sleep(0)
        assert slowest_s < _BUSY_S / 2  # who waits for the store's lock does so for all of that
        await until(lambda: running.status().spooled_bytes > 200 * 100)
        assert running.status().stored_rows == 0
        holder.execute("ROLLBACK")
        holder.close()
        await until(lambda: running.status().stored_rows == 200)
        assert running.status().store_up
    assert not caplog.records


async def test_a_store_that_is_not_there_is_filled_when_it_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    async with ledger(f"sqlite:///{barred / 'store.db'}", tmp_path) as running:
        for n in range(50):
            running.add(row(n))
        await until(
            lambda: running.status().spooled_rows == 50 and "barred" in running.status().reason
        )
        assert not running.status().store_up
        barred.unlink()
        make_file(barred / "store.db")
        await until(lambda: running.status().stored_rows == 50 and running.status().store_up)
    down, up = _messages(caplog)
    assert down.startswith("the store does not take rows: ")
    assert up.startswith("the store takes rows again")


async def test_what_is_not_stored_at_the_end_is_stored_by_the_next_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    url = f"sqlite:///{barred / 'store.db'}"
    async with ledger(url, tmp_path) as running:
        running.add(row(1))
        await running.close(0.3)
    assert "the next start finds them" in _messages(caplog)[-1]
    barred.unlink()
    make_file(barred / "store.db")
    async with ledger(url, tmp_path) as running:
        running.add(row(2))
    with opened(url) as engine:
        assert stored(engine) == [row(1), row(2)]


async def test_what_was_spent_before_is_told_once_before_the_first_own_row(
    store_url: str, tmp_path: Path
) -> None:
    now_ms = time.time_ns() // 1_000_000
    with opened(store_url) as engine:
        RowStore(engine).put([row(1, at_ms=now_ms, owner="team"), row(2, at_ms=now_ms), row(3)])
    told: list[Spent] = []
    async with ledger(store_url, tmp_path, on_spent=told.append) as running:
        running.add(row(4, at_ms=now_ms, cost_micros=1_000))
        await until(lambda: told and running.status().stored_rows)
    (spent,) = told
    assert spent.of_day == spent.of_month == {("laptop", "team"): 7, ("laptop", ""): 7}


async def test_many_refusals_alike_share_rows_and_none_is_left_uncounted(
    store_url: str, tmp_path: Path
) -> None:
    """Elsewhere a client in a loop fills the table: BerriAI/litellm#29342."""
    total = 50_000
    refused = {"usage_source": "none", "cost_micros": 0, "cause": "limited_requests", "status": 429}
    async with ledger(store_url, tmp_path) as running:
        for n in range(total):
            running.add(row(n, at_ms=AT_MS + n, **refused))
            if n % 5_000 == 0:
                await asyncio.sleep(0)
    with opened(store_url) as engine:
        rows = stored(engine)
        assert len(rows) <= 700
        assert sum(each.requests for each in rows) == total
        assert sum(day["requests"] for day in days(engine)) == total
        assert sum(day["refused"] for day in days(engine)) == total


async def test_a_spool_that_is_full_counts_what_it_loses_and_says_so_later_in_a_row(
    tmp_path: Path, store_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = sqlite3.connect(store_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    url = f"sqlite:///{store_file}"
    async with ledger(url, tmp_path, max_bytes=10_000) as running:
        taken = 0
        while not running.status().lost_rows:
            running.add(row(taken))
            taken += 1
            await asyncio.sleep(0.001)  # its thread loses them when it comes to it
        holder.execute("ROLLBACK")
        holder.close()
        await until(lambda: running.status().stored_rows and not running.status().spooled_rows)
        running.add(row(taken))
    lost = running.status().lost_rows
    assert "is full" in _messages(caplog)[0]
    with opened(url) as engine:
        rows = stored(engine)
        (gap,) = [each for each in rows if each.cause == "spool_full"]
        assert (gap.key, gap.requests) == ("", lost)
        assert sum(each.requests for each in rows) == taken + 1


async def test_a_full_disk_keeps_rows_in_memory_and_then_counts_them(
    tmp_path: Path,
    store_file: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_full = True
    write = os.write

    def write_unless_full(file: int, data: bytes) -> int:
        if is_full:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr("proxy.ledger.spool.os.write", write_unless_full)
    url = f"sqlite:///{store_file}"
    async with ledger(url, tmp_path) as running:
        for n in range(10_100):
            running.add(row(n))
        await until(lambda: _messages(caplog))
        assert (running.status().spooled_rows, running.status().lost_rows) == (10_000, 100)
        is_full = False
        await until(lambda: running.status().stored_rows == 10_001)
    assert "No space left" in _messages(caplog)[0]
    with opened(url) as engine:
        assert sum(each.requests for each in stored(engine)) == 10_100


async def test_rows_that_no_store_takes_are_set_right_or_counted_and_hold_up_none(
    store_url: str, tmp_path: Path
) -> None:
    odd = [
        row(1, tag="a\0b"),
        row(2, tag="\ud83d"),
        row(3, bytes_in=2**64),
        row(4, stream=True),
        row(5, model="m" * 1_000_000),
    ]
    async with ledger(store_url, tmp_path) as running:
        for each in (*odd, row(6)):
            running.add(each)
    with opened(store_url) as engine:
        rows = stored(engine)
    assert [each.id for each in rows] == [row(n).id for n in range(1, 7)]
    assert [rows[0].tag, rows[1].tag, rows[2].bytes_in, rows[3].stream] == [
        "a?b",
        "?",
        2**63 - 1,
        1,
    ]
    assert rows[4].model == "m" * 500


@pytest.mark.parametrize("defect", [ZeroDivisionError, ValueError], ids=lambda kind: kind.__name__)
async def test_a_defect_in_the_writer_loses_nothing(
    defect: type[Exception],
    tmp_path: Path,
    store_file: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = RowStore.put
    defects = iter([defect("a defect")])

    def put_badly(self: RowStore, rows: list[Row]) -> int:
        for each in defects:
            raise each
        return put(self, rows)

    monkeypatch.setattr(RowStore, "put", put_badly)
    async with ledger(f"sqlite:///{store_file}", tmp_path) as running:
        running.add(row(1))
        await until(lambda: running.status().restarting)
        await until(lambda: running.status().stored_rows == 1)
        assert not running.status().restarting
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_defect_in_the_spool_loses_nothing(
    tmp_path: Path,
    store_file: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append = Spool.append
    defects = iter([LookupError("a defect")])

    def append_badly(self: Spool, data: bytes, rows: int) -> None:
        for each in defects:
            raise each
        append(self, data, rows)

    monkeypatch.setattr(Spool, "append", append_badly)
    monkeypatch.setattr(spooler, "_SECOND_S", 0.01)
    async with ledger(f"sqlite:///{store_file}", tmp_path) as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
    assert "a defect of the ledger's spool" in caplog.text


async def test_what_is_in_flight_is_taken_between_turns_and_forgotten_at_the_end(
    tmp_path: Path, store_file: Path
) -> None:
    turns = 0
    seen: set[int] = set()

    def each_turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(each_turn)

    def in_flight() -> Iterator[Row]:
        for n in range(500):
            seen.add(turns)
            yield row(n, cause="gateway_killed")

    async with ledger(f"sqlite:///{store_file}", tmp_path) as running:
        (folder,) = (tmp_path / "spool").iterdir()
        file = folder / "inflight.rows"
        running.snapshot_of(in_flight)
        each_turn()
        await until(lambda: file.exists() and file.read_bytes().count(b"\n") == 500)
        assert len(seen) >= 500 // 20
    with opened(f"sqlite:///{store_file}") as engine:
        assert stored(engine) == []
