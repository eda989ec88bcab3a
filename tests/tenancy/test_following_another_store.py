"""Another store in the place of the one that is followed."""

import shutil
from pathlib import Path

import pytest

from proxy.access.records import Changes, KeyRecord
from proxy.store.engine import open_engine
from proxy.store.keys import Keys
from proxy.tenancy.follow import Follower
from tests.ledger.rows import until
from tests.support.stores import make_store


def add_key(url: str, name: str) -> None:
    """Put a key into a store."""
    engine = open_engine(url)
    Keys(engine, "test", frozenset()).create(KeyRecord(name=name), name * 8, 1)
    engine.dispose()


def put_in_place(other: Path, file: Path) -> None:
    """Put a store in the place of one that is moved away."""
    for each in file.parent.glob(f"{file.name}*"):
        each.rename(file.parent / f"away-{each.name}")
    other.rename(file)


async def test_keys_of_another_store_are_followed_from_its_first_and_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, empty = tmp_path / "store.db", tmp_path / "empty.db"
    url = f"sqlite:///{file}"
    make_store(url)
    shutil.copy(file, empty)
    for name in ("a", "b", "c"):
        add_key(url, name)
    names: list[str] = []

    def take(changes: Changes, _: object) -> None:
        names.extend(each.name for each in changes.keys)

    follower = Follower(url, take, lambda: None)
    follower.open()
    try:
        await until(lambda: names == ["a", "b", "c"])
        put_in_place(empty, file)
        add_key(url, "d")
        await until(lambda: names == ["a", "b", "c", "d"])
    finally:
        await follower.close()
    assert "the store is another one than before" in "".join(
        each.getMessage() for each in caplog.records
    )
