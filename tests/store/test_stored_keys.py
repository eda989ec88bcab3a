"""Managed keys in the store: each change is whole, numbered, and in the audit; both engines alike."""

import threading
from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from proxy.access.records import Changes, KeyRecord, OwnerRecord, Secret
from proxy.config import Budgets, RateLimits
from proxy.store.audit import AuditEntry, entries
from proxy.store.changes import since
from proxy.store.engine import reading
from proxy.store.keys import Keys, NameTakenError, UnknownNameError
from proxy.store.owners import Owners
from tests.store.rows import opened

NOW_MS = 1_764_000_000_000
HOUR_MS = 3_600_000
LAPTOP = KeyRecord(
    name="laptop",
    owner="team-a",
    models=("anthropic/*",),
    limits=RateLimits(requests_per_minute=60, shadow=True),
    budgets=Budgets(day_micros=5_000_000, fail="closed"),
    tags={"room": "12"},
    expires_at_ms=NOW_MS + 24 * HOUR_MS,
)
BARE = KeyRecord(name="bare")


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    with opened(store_url) as engine:
        yield engine


def _changes(engine: sa.Engine, seq: int = 0) -> Changes:
    with reading(engine) as connection:
        return since(connection, seq)


def _audit(engine: sa.Engine) -> list[AuditEntry]:
    with reading(engine) as connection:
        return entries(connection, 100)


@pytest.mark.parametrize("record", [LAPTOP, BARE])
def test_a_key_comes_back_as_it_was_made(engine: sa.Engine, record: KeyRecord) -> None:
    keys = Keys(engine, "test", ("team-a",))
    made = keys.create(record, "aa", NOW_MS)
    assert made == msgspec.structs.replace(
        record, created_at_ms=NOW_MS, updated_at_ms=NOW_MS, secrets=(Secret("aa"),)
    )
    assert keys.get(record.name) == made
    assert _changes(engine).keys == (made,)


def test_a_name_is_given_once_for_ever(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(BARE, "aa", NOW_MS)
    with pytest.raises(NameTakenError):
        keys.create(BARE, "bb", NOW_MS)
    keys.delete("bare", NOW_MS)
    with pytest.raises(NameTakenError):
        keys.create(BARE, "bb", NOW_MS)
    for gone in (lambda: keys.get("bare"), lambda: keys.delete("bare", NOW_MS)):
        with pytest.raises(UnknownNameError):
            gone()


def test_a_change_that_fails_leaves_nothing_behind(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(BARE, "aa", NOW_MS)
    before = _changes(engine)
    with pytest.raises(NameTakenError):
        keys.create(BARE, "bb", NOW_MS)
    with pytest.raises(UnknownNameError):
        keys.rotate("nobody", "cc", 0, NOW_MS)
    assert _changes(engine) == before
    assert len(_audit(engine)) == 1


def test_only_what_has_changed_since_a_number_is_told(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(LAPTOP, "aa", NOW_MS)
    first = _changes(engine)
    assert _changes(engine, first.seq) == Changes(first.seq)
    keys.create(BARE, "bb", NOW_MS)
    Owners(engine, "test").put(OwnerRecord(name="team-a"), NOW_MS)
    second = _changes(engine, first.seq)
    assert second.seq == first.seq + 2
    assert [each.name for each in second.keys] == ["bare"]
    assert [each.name for each in second.owners] == ["team-a"]


def test_a_budget_can_be_changed_and_taken_off(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(LAPTOP, "aa", NOW_MS)
    later = NOW_MS + 1
    changed = keys.update("laptop", lambda key: msgspec.structs.replace(key, budgets=None), later)
    assert changed.budgets is None
    assert keys.get("laptop") == changed
    assert (changed.created_at_ms, changed.updated_at_ms) == (NOW_MS, later)
    assert changed.secrets == (Secret("aa"),)


def test_an_older_secret_works_until_its_grace_is_over_and_no_rotation_prolongs_it(
    engine: sa.Engine,
) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(BARE, "aa", NOW_MS)
    first = keys.rotate("bare", "bb", HOUR_MS, NOW_MS)
    assert first.secrets == (Secret("bb"), Secret("aa", NOW_MS + HOUR_MS))
    soon = NOW_MS + 1
    second = keys.rotate("bare", "cc", 10 * HOUR_MS, soon)
    assert second.secrets == (
        Secret("cc"),
        Secret("bb", soon + 10 * HOUR_MS),
        Secret("aa", NOW_MS + HOUR_MS),
    )
    third = keys.rotate("bare", "dd", 0, NOW_MS + 2 * HOUR_MS)
    assert third.secrets[0] == Secret("dd")
    assert all(each.not_after_ms == NOW_MS + 2 * HOUR_MS for each in third.secrets[1:])
    assert "aa" not in {each.sha256 for each in third.secrets}


def test_a_deleted_key_is_told_as_deleted_and_opens_nothing(engine: sa.Engine) -> None:
    keys = Keys(engine, "test", ("team-a",))
    keys.create(BARE, "aa", NOW_MS)
    seq = _changes(engine).seq
    keys.delete("bare", NOW_MS + 5)
    (gone,) = _changes(engine, seq).keys
    assert (gone.deleted_at_ms, gone.secrets) == (NOW_MS + 5, ())
    assert keys.page(10) == []


def test_keys_are_paged_by_name_and_found_by_owner_and_by_a_part_of_the_name(
    engine: sa.Engine,
) -> None:
    keys = Keys(engine, "test", ("team-a",))
    for i, name in enumerate(("b%x", "a", "c", "B_1")):
        owner = "team-a" if name in ("a", "c") else None
        keys.create(KeyRecord(name=name, owner=owner), f"{i:02}", NOW_MS)
    assert [each.name for each in keys.page(2)] == ["B_1", "a"]
    assert [each.name for each in keys.page(2, after="a")] == ["b%x", "c"]
    assert [each.name for each in keys.page(9, owner="team-a")] == ["a", "c"]
    assert [each.name for each in keys.page(9, text="%")] == ["b%x"]
    assert [each.name for each in keys.page(9, text="_")] == ["B_1"]


def test_owners_are_put_changed_deleted_and_come_back(engine: sa.Engine) -> None:
    owners = Owners(engine, "test")
    record = OwnerRecord(name="team-a", budgets=Budgets(month_micros=1))
    made = owners.put(record, NOW_MS)
    assert owners.get("team-a") == made
    assert owners.all() == [made]
    changed = owners.put(OwnerRecord(name="team-a"), NOW_MS + 1)
    assert (changed.created_at_ms, changed.budgets) == (NOW_MS, Budgets())
    owners.delete("team-a", NOW_MS + 2)
    assert owners.all() == []
    for missing in (owners.get, lambda name: owners.delete(name, NOW_MS)):
        with pytest.raises(UnknownNameError):
            missing("team-a")
    assert owners.put(record, NOW_MS + 3).deleted_at_ms is None
    assert [each.action for each in _audit(engine)][:2] == ["owner.put", "owner.delete"]


def test_the_audit_says_who_changed_what_and_holds_no_digest(engine: sa.Engine) -> None:
    keys = Keys(engine, "ops", ("team-a",))
    keys.create(LAPTOP, "a-digest", NOW_MS)
    keys.update(
        "laptop", lambda key: msgspec.structs.replace(key, disabled=True), NOW_MS + 1, "disable"
    )
    keys.rotate("laptop", "a-digest-2", 0, NOW_MS + 2)
    keys.delete("laptop", NOW_MS + 3)
    told = _audit(engine)
    assert [each.action for each in told] == [
        *("key.delete", "key.rotate", "key.disable", "key.create")
    ]
    assert {each.actor for each in told} == {"ops"}
    assert [each.id for each in told] == sorted((each.id for each in told), reverse=True)
    disabled = told[2]
    assert (disabled.before["disabled"], disabled.after["disabled"]) == (False, True)
    assert disabled.after["budgets"]["day_micros"] == 5_000_000
    assert "a-digest" not in repr(told)
    with reading(engine) as connection:
        assert [each.action for each in entries(connection, 1, told[0].id)] == ["key.rotate"]


def test_changes_made_at_once_have_numbers_of_their_own_and_none_is_missed(
    engine: sa.Engine,
) -> None:
    begin = threading.Barrier(5)
    failed: list[BaseException] = []

    def make(number: int) -> None:
        try:
            begin.wait()
            for i in range(10):
                Keys(engine, "test", ("team-a",)).create(
                    KeyRecord(name=f"{number}-{i}"), f"{number}/{i}", 1
                )
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    begin.wait()
    seq, seen = 0, list[str]()
    while any(thread.is_alive() for thread in threads):
        changes = _changes(engine, seq)
        seq = changes.seq
        seen += (each.name for each in changes.keys)
    for thread in threads:
        thread.join()
    seen += (each.name for each in _changes(engine, seq).keys)
    assert not failed
    assert set(seen) == {f"{number}-{i}" for number in range(4) for i in range(10)}
