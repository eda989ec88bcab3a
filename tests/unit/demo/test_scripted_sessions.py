"""What the busy demo plays is the same each time, adds up, and is never taken for what was."""

import datetime
import random

import pytest

from proxy.demo import history
from proxy.demo.script import OPUS, Turn, Who, session
from proxy.demo.setting import BUSY_KEYS, Place, busy_config
from proxy.ledger.cache_breaks import findings
from proxy.ledger.row import Row
from proxy.money import price_file

NOW_MS = 1_795_683_600_000
WHO = Who("anna-laptop", OPUS, "repo=shop/web")


def turns(seed: int, *, breaks: bool = True) -> list[Turn]:
    return session(random.Random(seed), WHO, breaks=breaks)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(history.rows(1, NOW_MS, price_file.load()))


def test_a_seed_is_the_same_session_each_time() -> None:
    assert turns(7) == turns(7)
    assert turns(7) != turns(8)


@pytest.mark.parametrize("seed", range(20))
def test_without_breaks_a_turn_reads_what_the_one_before_left(seed: int) -> None:
    left: dict[str | None, int] = {}
    for turn in turns(seed, breaks=False):
        if turn.cause is None:
            if not turn.compacted:
                assert turn.billed.read == left.get(turn.agent, 0)
            left[turn.agent] = turn.billed.prompt - turn.billed.input


def test_agents_are_started_by_agents_that_are_there() -> None:
    agents = {turn.agent for seed in range(20) for turn in turns(seed)}
    parents = {turn.parent for seed in range(20) for turn in turns(seed)}
    assert parents - {None}
    assert parents <= agents


def test_each_row_of_the_history_is_marked_as_synthetic(rows: list[Row]) -> None:
    assert all((row.tag or "").startswith("synthetic ") for row in rows)


def test_nothing_of_the_history_ends_later_than_now(rows: list[Row]) -> None:
    assert all(row.at_ms + (row.total_ms or 0) <= NOW_MS for row in rows)
    days = {datetime.datetime.fromtimestamp(row.at_ms / 1000, datetime.UTC).date() for row in rows}
    assert len(days) > history.DAYS * 0.8


def test_no_id_comes_twice(rows: list[Row]) -> None:
    assert len({row.id for row in rows}) == len(rows)


def test_the_history_has_each_kind_of_cache_break(rows: list[Row]) -> None:
    ordered = sorted(rows, key=lambda row: row.at_ms)
    found = findings(ordered, price_file.load(), lambda _: True)
    assert {"idle", "moved"} <= {each.kind for each in found if each.is_break}


def test_one_budget_is_nearly_used_and_one_is_spent() -> None:
    place = Place(0, 0, "/nowhere", "ar-key", "ara-operator")
    spent = {"anna-laptop": 30_000_000, "nightly-agents": 1_000_000}
    secrets = {name: f"ar-{name}" for name in BUSY_KEYS}
    config = busy_config(place, ("http://a", "http://b"), secrets, spent)
    left = {
        key.name: key.budgets.day_micros - spent.get(key.name, 0)
        for key in config.keys
        if key.budgets is not None and key.budgets.day_micros is not None
    }
    assert 0 < left["anna-laptop"] < 30_000_000 / 10
    assert left["nightly-agents"] < 0


def test_budgets_are_of_whole_cents_as_people_set_them() -> None:
    place = Place(0, 0, "/nowhere", "ar-key", "ara-operator")
    spent = {"anna-laptop": 5_357_681, "nightly-agents": 1_089_611}
    secrets = {name: f"ar-{name}" for name in BUSY_KEYS}
    config = busy_config(place, ("http://a", "http://b"), secrets, spent)
    days = [key.budgets.day_micros for key in config.keys if key.budgets is not None]
    assert days == [6_350_000, 50_000_000, 980_000]
