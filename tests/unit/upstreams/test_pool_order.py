"""Which upstream is a conversation's home: by weight, for ever, and the same in every process."""

import collections
import os
import subprocess
import sys

import pytest

from proxy.config import Member, Pool
from proxy.upstreams.pools import PoolOrder

URLS = {name: f"https://{name}.example" for name in "abcdefg"}
SESSIONS = [f"tester\0session\0{number}" for number in range(20_000)]


def order(*members: tuple[str, int, int]) -> PoolOrder:
    return PoolOrder(Pool("p", tuple(Member(*each) for each in members)), URLS)


def homes(pool: PoolOrder) -> list[str]:
    return [pool.of(session)[0] for session in SESSIONS]


@pytest.mark.parametrize("weights", [(1, 1), (2, 1), (1, 2, 3), (1000, 1)], ids=str)
def test_shares_follow_weights(weights: tuple[int, ...]) -> None:
    names = URLS.keys()
    members = [(name, weight, 1) for name, weight in zip(names, weights, strict=False)]
    counted = collections.Counter(homes(order(*members)))
    for name, weight, _ in members:
        assert counted[name] / len(SESSIONS) == pytest.approx(weight / sum(weights), abs=0.02)


def test_who_goes_takes_only_its_own_conversations_and_they_spread() -> None:
    before = homes(order(*((name, 1, 1) for name in "abcd")))
    after = homes(order(*((name, 1, 1) for name in "abc")))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert all(old in ("d", new) for old, new in zip(before, after, strict=True))
    for name in "abc":
        assert moved.count(name) / len(moved) == pytest.approx(1 / 3, abs=0.03)


def test_who_comes_takes_its_share_and_nothing_else_moves() -> None:
    before = homes(order(*((name, 1, 1) for name in "abc")))
    after = homes(order(*((name, 1, 1) for name in "abcd")))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"d"}
    assert len(moved) / len(before) == pytest.approx(1 / 4, abs=0.02)


def test_a_priority_is_asked_before_the_next() -> None:
    pool = order(("a", 1, 2), ("b", 1, 1), ("c", 1, 1), ("d", 1, 7))
    for session in SESSIONS[:200]:
        assert set(pool.of(session)[:2]) == {"b", "c"}
        assert pool.of(session)[2:] == ("a", "d")


def test_a_member_without_weight_is_nobodys_home_and_still_a_detour() -> None:
    pool = order(("a", 0, 1), ("b", 1, 1), ("c", 0, 1))
    for session in SESSIONS[:200]:
        assert pool.of(session)[0] == "b"
        assert set(pool.of(session)) == {"a", "b", "c"}
    assert {pool.of(session)[1] for session in SESSIONS[:200]} == {"a", "c"}


def test_one_member_a_priority_needs_no_conversation() -> None:
    pool = order(("a", 1, 2), ("b", 5, 1))
    assert pool.is_fixed
    assert pool.of("") == ("b", "a")
    assert not order(("a", 1, 1), ("b", 1, 1)).is_fixed


def test_every_process_has_the_same_order() -> None:
    code = (
        "from tests.unit.upstreams.test_pool_order import SESSIONS, order, URLS\n"
        "pool = order(*((name, 1, 1) for name in URLS))\n"
        "print([pool.of(each) for each in SESSIONS[:20]])"
    )
    here = order(*((name, 1, 1) for name in URLS))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stdout.strip() == str([here.of(each) for each in SESSIONS[:20]])


def test_names_of_half_a_character_are_no_fault() -> None:
    assert order(("a", 1, 1), ("b", 1, 1)).of("tester\0user\0\udc80")
