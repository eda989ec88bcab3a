"""kill -9 loses nothing that was answered a second ago, and what was in flight leaves its row."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxy.ledger.row import to_line
from proxy.ledger.spool import Spool
from tests.ledger.killed import STAYS, unfinished
from tests.ledger.rows import ledger, until
from tests.store.rows import days, opened, row, stored

_RUNS, _RUNS_S = 2, 2.5
_PROMISED_S = 1.0


def _ended_before_kill(url: str, folder: Path, first: int) -> tuple[list[int], list[int]]:
    """Kill a process; return the requests that ended more than a second before, and all that ended."""
    command = [sys.executable, "-m", "tests.ledger.killed", url, str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ended: list[tuple[float, int]] = []
        while not ended or time.monotonic() < ended[0][0] + _RUNS_S:
            number = int(process.stdout.readline())
            ended.append((time.monotonic(), number))
        killed_s = time.monotonic()
        process.kill()
        last = [int(line) for line in process.stdout if line.endswith(b"\n")]
    numbers = [number for _, number in ended]
    return [number for at_s, number in ended if at_s < killed_s - _PROMISED_S], [*numbers, *last]


@pytest.mark.slow
async def test_a_killed_process_leaves_its_rows_to_the_next_one(
    store_url: str, tmp_path: Path
) -> None:
    promised, ended = [], []
    for run in range(_RUNS):
        before, all_of_run = _ended_before_kill(store_url, tmp_path, run * 10_000)
        promised += before
        ended += all_of_run
    async with ledger(store_url, tmp_path) as running:
        await until(lambda: running.status().store_up)
    with opened(store_url) as engine:
        rows = {int(each.id, 16): each for each in stored(engine)}
        assert [rows[number] for number in promised] == [row(number) for number in promised]
        flew = [number - 1 for number in promised if number % STAYS == 1]
        assert flew
        assert [rows[number] for number in flew] == [unfinished(number) for number in flew]
        untold = {number for number in rows if number % STAYS} - set(ended)
        assert len(untold) <= _RUNS  # one that each was killed with before it could say so
        assert sum(day["requests"] for day in days(engine)) == len(rows)
        assert sum(day["cost_micros"] for day in days(engine)) == 7 * len(rows)
    assert list((tmp_path / "spool").iterdir()) == []


async def test_what_a_dead_process_left_is_stored_but_for_a_torn_line(
    store_url: str, tmp_path: Path
) -> None:
    dead = Spool(tmp_path / "spool")
    dead.append(b"".join(to_line(row(n)) + b"\n" for n in range(500)), 500)
    dead.append(to_line(row(500))[:-9], 1)
    flying = [unfinished(n) for n in (499, 501)]
    dead.keep_in_flight(b"".join(to_line(each) + b"\n" for each in flying))
    dead.close()
    assert dead.folder.exists()
    async with ledger(store_url, tmp_path) as running:
        await until(lambda: running.status().store_up)
    with opened(store_url) as engine:
        assert stored(engine) == [*(row(n) for n in range(500)), unfinished(501)]
    assert not dead.folder.exists()


async def test_a_living_process_keeps_its_rows(store_url: str, tmp_path: Path) -> None:
    living = Spool(tmp_path / "spool")
    living.append(to_line(row(1)) + b"\n", 1)
    async with ledger(store_url, tmp_path) as running:
        running.add(row(2))
        await until(lambda: running.status().stored_rows == 1)
    with opened(store_url) as engine:
        assert stored(engine) == [row(2)]
    assert living.read(9) == ([to_line(row(1))], len(to_line(row(1))) + 1)
    living.close()
