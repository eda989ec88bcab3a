"""A store is made at the very first start, and not again in place of one that was there."""

import logging
from pathlib import Path

import pytest

from proxy.config import Store
from proxy.ledger.first_file import is_to_be_made, make_first


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give where the store is to be, in the folder that is the state's, too: the default."""
    return tmp_path / "var" / "anyrouter.db"


@pytest.fixture
def store(file: Path) -> Store:
    """Give a store in that file."""
    return Store(f"sqlite:///{file}", state_dir=str(file.parent))


def test_the_first_start_makes_the_store_for_its_user_alone_and_says_so_once(
    store: Store, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        make_first(store)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.getMessage() for each in caplog.records] == [
        f"there was no store, and an empty one is made: {file}"
    ]


def test_a_start_makes_none_where_one_was_moved_away(store: Store, file: Path) -> None:
    make_first(store)
    file.rename(file.with_name("away.db"))
    make_first(store)
    assert not file.exists()
    assert not is_to_be_made(store)
    file.with_name("away.db").rename(file)
    make_first(store)
    assert file.exists()


def test_a_store_that_an_earlier_version_has_made_is_known_from_the_next_start_on(
    store: Store, file: Path
) -> None:
    file.parent.mkdir()
    file.touch()
    make_first(store)
    file.unlink()
    make_first(store)
    assert not file.exists()


def test_another_store_with_the_same_state_is_made(store: Store, file: Path) -> None:
    make_first(store)
    other = file.with_name("other.db")
    make_first(Store(f"sqlite:///{other}", state_dir=store.state_dir))
    assert other.exists()


@pytest.mark.parametrize("store", [None, Store("postgresql://me@h/d")])
def test_what_is_no_file_is_not_made(store: Store | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert not is_to_be_made(store)
    make_first(store)
    assert not caplog.records
