"""A database that stops, is not there, or cuts off: no row is lost, none comes twice."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.store.rows import MAX_ROWS
from tests.ledger.rows import ledger, until
from tests.store.rows import days, opened, row, stored
from tests.support.postgres import Postgres
from tests.support.postgres_cutter import Cut, cutting


async def test_rows_wait_while_the_database_is_down_and_come_when_it_is_back(
    postgres_again: Postgres, postgres_store: str, tmp_path: Path
) -> None:
    """Elsewhere spend is lost with a failed commit, and the connection is never made again: BerriAI/litellm#35531."""
    async with ledger(postgres_store, tmp_path) as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        postgres_again.stop()
        for n in range(2, 500):
            running.add(row(n))
        await until(lambda: not running.status().store_up)
        assert running.status().spooled_rows == 498
        postgres_again.start()
        await until(lambda: running.status().stored_rows == 499)
        assert running.status().store_up
    with opened(postgres_store) as engine:
        assert [each.id for each in stored(engine)] == [row(n).id for n in range(1, 500)]
        assert [day["requests"] for day in days(engine)] == [499]


async def test_a_start_while_the_database_is_down_goes_on_by_itself(
    postgres_again: Postgres, postgres_store: str, tmp_path: Path
) -> None:
    postgres_again.stop()
    told: list[object] = []
    async with ledger(postgres_store, tmp_path, on_spent=told.append) as running:
        running.add(row(1))
        await until(lambda: running.status().spooled_rows == 1 and running.status().reason)
        assert not told
        postgres_again.start()
        await until(lambda: running.status().stored_rows == 1 and told)
    with opened(postgres_store) as engine:
        assert stored(engine) == [row(1)]


@pytest.mark.parametrize("cut", Cut)
async def test_a_connection_cut_inside_commit_neither_loses_nor_doubles(
    postgres_store: str, tmp_path: Path, cut: Cut
) -> None:
    """Whether the rows are there cannot be known from the error: they are put again."""
    count = MAX_ROWS + 100  # two transactions: rows that are found to be there are not put again
    async with cutting(postgres_store) as way:
        way.due = [cut, cut]
        async with ledger(way.url, tmp_path) as running:
            for n in range(count):
                running.add(row(n))
            await until(lambda: running.status().stored_rows == count)
        assert not way.due
    with opened(postgres_store) as engine:
        assert [each.id for each in stored(engine)] == [row(n).id for n in range(count)]
        assert [(day["requests"], day["cost_micros"]) for day in days(engine)] == [
            (count, 7 * count)
        ]


async def test_a_state_folder_that_was_moved_away_is_told_once_and_its_rows_come_when_it_is_back(
    store_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state, away = tmp_path / "state", tmp_path / "away"
    url = f"sqlite:///{store_file}"

    def told() -> list[str]:
        return [each.getMessage() for each in caplog.records if "notice" in vars(each)]

    async with ledger(url, state) as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        state.rename(away)
        for n in range(2, 5):
            running.add(row(n))
        await until(told)
        running.add(row(5))
        running.snapshot_of(lambda: [row(6)])
        await until(lambda: len(told()) == 2)
        assert sorted(each.partition(" cannot be ")[2][:20] for each in told()) == [
            "read: No such file o",
            "written: No such fil",
        ]
        assert all(str(state) in each for each in told())
        away.rename(state)
        await until(lambda: running.status().stored_rows == 5)
        await until(lambda: len(told()) == 4)
        assert {each.split()[-1] for each in told()[2:]} <= {"again", "lost"}
    assert not [each for each in caplog.records if each.exc_info]
    with opened(url) as engine:
        assert {each.id for each in stored(engine)} >= {row(n).id for n in range(1, 6)}


async def test_what_is_told_of_a_moved_folder_in_whose_place_is_another_works_as_it_is_printed(
    store_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state, away = tmp_path / "a state", tmp_path / "away"
    url = f"sqlite:///{store_file}"

    def told() -> str:
        return "".join(each.getMessage() for each in caplog.records)

    async with ledger(url, state) as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        state.rename(away)
        running.add(row(2))
        await until(lambda: f"put {state} back where it was" in told())
        # As a worker that is started again makes it.
        async with ledger(url, state) as other:
            other.add(row(3))
            await until(lambda: "there is another" in told())
            aside, give = re.findall("`(mv .*?)`", told())[-2:]
            _typed(aside)
            away.rename(state)
            _typed(give)
            other.add(row(4))
            await until(lambda: running.status().stored_rows == 2)
            await until(lambda: other.status().stored_rows == 2)
    with opened(url) as engine:
        assert {each.id for each in stored(engine)} == {row(n).id for n in range(1, 5)}


def _typed(command: str) -> None:
    subprocess.run(["sh", "-ec", command], check=True)


async def test_a_ledger_ends_in_peace_when_its_state_folder_is_gone(
    store_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    async with ledger(f"sqlite:///{store_file}", state) as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        shutil.rmtree(state)
    assert not caplog.records


async def test_no_store_is_made_in_place_of_one_that_was_moved_away_and_rows_come_when_it_is_back(
    store_file: Path, tmp_path: Path
) -> None:
    folder, away = tmp_path / "var", tmp_path / "away"
    folder.mkdir()
    shutil.copy(store_file, folder / "store.db")
    url = f"sqlite:///{folder}/store.db"
    async with ledger(url, tmp_path / "state") as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        folder.rename(away)
        running.add(row(2))
        await until(lambda: "put it back if it was moved" in running.status().reason)
        assert not folder.exists()
        # As a worker that is started again.
        async with ledger(url, tmp_path / "state") as other:
            other.add(row(3))
            await until(lambda: "put it back if it was moved" in other.status().reason)
            folder.mkdir()
            running.add(row(4))
            await until(lambda: running.status().spooled_rows == 2)
            assert not list(folder.iterdir())
            folder.rmdir()
            away.rename(folder)
            await until(lambda: running.status().stored_rows == 3)
            await until(lambda: other.status().stored_rows == 1)
    with opened(url) as engine:
        assert {each.id for each in stored(engine)} == {row(n).id for n in range(1, 5)}


async def test_rows_go_into_the_store_that_was_put_in_place_of_another(
    store_file: Path, tmp_path: Path
) -> None:
    backup = Path(shutil.copy(store_file, tmp_path / "backup.db"))
    async with ledger(f"sqlite:///{store_file}", tmp_path / "state") as running:
        running.add(row(1))
        await until(lambda: running.status().stored_rows == 1)
        _put_in_place(backup, store_file)
        running.add(row(2))
        await until(lambda: running.status().stored_rows == 2)
    with opened(f"sqlite:///{store_file}") as engine:
        assert stored(engine) == [row(2)]


def _put_in_place(backup: Path, store_file: Path) -> None:
    for file in store_file.parent.glob("store.db*"):
        file.rename(store_file.parent / f"away-{file.name}")
    backup.rename(store_file)
