"""An owner goes only when no key would lose its limits, and no key gets an owner that is not there."""

from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from proxy.access.records import KeyRecord, OwnerRecord
from proxy.store.keys import Keys, UnknownOwnerError
from proxy.store.owners import OwnerInUseError, Owners
from tests.store.rows import opened

NOW_MS = 1_764_000_000_000


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    with opened(store_url) as engine:
        Owners(engine, "test").put(OwnerRecord(name="team-a"), NOW_MS)
        yield engine


def test_an_owner_stays_while_keys_belong_to_it(engine: sa.Engine) -> None:
    keys, owners = Keys(engine, "test"), Owners(engine, "test")
    for i in range(12):
        keys.create(KeyRecord(name=f"key-{i:02}", owner="team-a"), f"{i}", NOW_MS)
    with pytest.raises(OwnerInUseError) as refused:
        owners.delete("team-a", NOW_MS)
    assert refused.value.keys == [f"key-{i:02}" for i in range(12)]
    assert refused.value.told().endswith(": " + ", ".join(refused.value.keys[:10]) + " and 2 more")
    assert [owner.name for owner in owners.all()] == ["team-a"]
    for i in range(11):
        keys.delete(f"key-{i:02}", NOW_MS)
    keys.update("key-11", lambda key: msgspec.structs.replace(key, owner=None), NOW_MS)
    owners.delete("team-a", NOW_MS)
    assert owners.all() == []


def test_no_key_gets_an_owner_that_is_not_there(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("configured",))
    keys.create(KeyRecord(name="a", owner="team-a"), "a", NOW_MS)
    keys.create(KeyRecord(name="b", owner="configured"), "b", NOW_MS)
    with pytest.raises(UnknownOwnerError):
        keys.create(KeyRecord(name="c", owner="team-b"), "c", NOW_MS)
    with pytest.raises(UnknownOwnerError):
        keys.update("a", lambda key: msgspec.structs.replace(key, owner="team-b"), NOW_MS)
    assert [(key.name, key.owner) for key in keys.page(9)] == [("a", "team-a"), ("b", "configured")]


def test_a_key_whose_owner_has_gone_from_the_configuration_can_be_changed_still(
    engine: sa.Engine,
) -> None:
    Keys(engine, "test", ("configured",)).create(
        KeyRecord(name="a", owner="configured"), "a", NOW_MS
    )
    changed = Keys(engine, "test").update(
        "a", lambda key: msgspec.structs.replace(key, disabled=True), NOW_MS
    )
    assert (changed.owner, changed.disabled) == ("configured", True)
