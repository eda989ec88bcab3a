"""The managed keys in memory: what has changed counts at once, and what is not known is told from what is not there."""

import datetime

import pytest
from multidict import CIMultiDict

from proxy.access.keys import KeyRing, digest
from proxy.access.managed_keys import FRESH_S, ManagedKeys
from proxy.access.records import Changes, KeyRecord, OwnerRecord, Secret
from proxy.config import Budgets, Key
from proxy.errors import KeysUnavailable, Unauthenticated

NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
NOW_MS = int(NOW.timestamp() * 1000)


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _record(name: str, *keys: str, **more: object) -> KeyRecord:
    secrets = tuple(Secret(digest(key)) for key in keys)
    return KeyRecord(name=name, secrets=secrets, **more)  # type: ignore[arg-type] # fields of its own


def _open(managed: ManagedKeys, key: str, *static: Key, now: datetime.datetime = NOW) -> str:
    inbound = CIMultiDict({"x-api-key": key})
    return KeyRing(static).authenticate(inbound, managed, lambda: now).name


def test_a_key_opens_from_the_change_on_that_makes_it_and_no_more_after_the_one_that_deletes_it() -> (
    None
):
    managed = ManagedKeys(_Clock())
    managed.apply(Changes(1, keys=(_record("laptop", "ar-one"),)))
    assert _open(managed, "ar-one") == "laptop"
    assert len(managed) == 1
    managed.apply(Changes(2, keys=(_record("laptop", deleted_at_ms=5),)))
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-one")
    assert (len(managed), managed.seq) == (0, 2)


def test_the_keys_of_the_configuration_come_first() -> None:
    managed = ManagedKeys(_Clock())
    managed.apply(Changes(1, keys=(_record("theirs", "ar-one"),)))
    assert _open(managed, "ar-one", Key("ours", digest("ar-one"))) == "ours"


@pytest.mark.parametrize(
    ("changed", "opens"),
    [
        ({"disabled": True}, False),
        ({"expires_at_ms": NOW_MS}, False),
        ({"expires_at_ms": NOW_MS + 1}, True),
    ],
)
def test_an_edit_counts_from_the_next_request_on(
    changed: dict[str, object], *, opens: bool
) -> None:
    managed = ManagedKeys(_Clock())
    managed.apply(Changes(1, keys=(_record("laptop", "ar-one"),)))
    managed.apply(Changes(2, keys=(_record("laptop", "ar-one", **changed),)))
    if opens:
        assert _open(managed, "ar-one") == "laptop"
    else:
        with pytest.raises(Unauthenticated):
            _open(managed, "ar-one")


def test_a_rotated_secret_works_strictly_before_the_end_of_its_grace() -> None:
    managed = ManagedKeys(_Clock())
    secrets = (Secret(digest("ar-new")), Secret(digest("ar-old"), NOW_MS))
    managed.apply(Changes(1, keys=(KeyRecord(name="laptop", secrets=secrets),)))
    just_before = NOW - datetime.timedelta(milliseconds=1)
    assert _open(managed, "ar-old", now=just_before) == "laptop"
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-old")
    assert _open(managed, "ar-new") == "laptop"
    assert [key.sha256 for key in managed.all_keys()] == [digest("ar-new")]


def test_the_earlier_of_expiry_and_grace_counts() -> None:
    managed = ManagedKeys(_Clock())
    secrets = (Secret(digest("ar-old"), NOW_MS + 5),)
    managed.apply(
        Changes(1, keys=(KeyRecord(name="laptop", secrets=secrets, expires_at_ms=NOW_MS),))
    )
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-old")


def test_an_unknown_key_is_wrong_only_while_the_store_has_answered_lately() -> None:
    clock = _Clock()
    managed = ManagedKeys(clock)
    with pytest.raises(KeysUnavailable):
        _open(managed, "ar-unknown")
    managed.apply(Changes(0))
    clock.now_s += FRESH_S - 0.1
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-unknown")
    clock.now_s += 0.1
    with pytest.raises(KeysUnavailable):
        _open(managed, "ar-unknown")
    managed.apply(Changes(0))
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-unknown")


def test_known_keys_go_on_while_the_store_does_not_answer_and_their_expiry_too() -> None:
    clock = _Clock()
    managed = ManagedKeys(clock)
    managed.apply(Changes(1, keys=(_record("laptop", "ar-one", expires_at_ms=NOW_MS),)))
    clock.now_s += 3600
    assert _open(managed, "ar-one", now=NOW - datetime.timedelta(seconds=1)) == "laptop"
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-one")


def test_without_a_credential_it_is_the_clients_fault_whatever_the_store_does() -> None:
    with pytest.raises(Unauthenticated):
        KeyRing(()).authenticate(CIMultiDict(), ManagedKeys(_Clock()))


def test_owners_follow_the_store() -> None:
    managed = ManagedKeys(_Clock())
    managed.apply(Changes(1, owners=(OwnerRecord(name="a", budgets=Budgets(day_micros=1)),)))
    assert managed.owners["a"].budgets == Budgets(day_micros=1)
    managed.apply(Changes(2, owners=(OwnerRecord(name="a", deleted_at_ms=1),)))
    assert managed.owners == {}


def test_a_secret_may_go_from_a_deleted_key_to_another_in_one_batch() -> None:
    managed = ManagedKeys(_Clock())
    managed.apply(Changes(1, keys=(_record("z", "ar-one"),)))
    managed.apply(Changes(3, keys=(_record("b", "ar-one"), _record("z", deleted_at_ms=5))))
    assert _open(managed, "ar-one") == "b"
    managed.apply(Changes(4, keys=(_record("b", "ar-one", disabled=True),)))
    assert [key.name for key in managed.all_keys()] == ["b"]


def test_a_key_that_expires_at_the_end_of_all_time_is_in_nobodys_way() -> None:
    managed = ManagedKeys(_Clock())
    last = _record("a", "ar-one", expires_at_ms=253_402_300_800_000)
    managed.apply(Changes(1, keys=(last, _record("b", "ar-two"))))
    assert (_open(managed, "ar-one"), _open(managed, "ar-two")) == ("a", "b")


def test_a_name_of_the_configuration_opens_nothing_in_the_store() -> None:
    managed = ManagedKeys(_Clock(), frozenset({"laptop"}))
    managed.apply(Changes(1, keys=(_record("laptop", "ar-one"), _record("b", "ar-two"))))
    with pytest.raises(Unauthenticated):
        _open(managed, "ar-one")
    assert _open(managed, "ar-two") == "b"
