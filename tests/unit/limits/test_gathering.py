"""What is sent first: whoever waits for an answer, then leases, then what the ledger tells."""

import asyncio
from collections import Counter
from functools import partial
from operator import methodcaller

import msgspec

from proxy.limits.batch import Batch
from proxy.limits.following import Following
from proxy.limits.gathering import Gathering
from proxy.limits.local import Local
from proxy.limits.verdict import Ask, Grant
from tests.unit.limits.making import NOW_US, PERIODS, policy_of

MOST = 128
KEYS = 10_000
POLICY = policy_of(Local(), key={"max_in_flight": 9, "day_micros": 9})


def _crowd(gathering: Gathering) -> None:
    """Have ten thousand leases renewed, and as many budgets raised."""
    for n in range(KEYS):
        ask = Ask(f"req_{n}", POLICY, PERIODS)
        gathering.renew(ask.id, methodcaller("renew", ask))
        raised = methodcaller("raise_spent", f"key k{n}", PERIODS.day_name, n, NOW_US)
        gathering.raise_spent(f"key k{n}", PERIODS.day_name, raised)


def _asked(gathering: Gathering, many: int) -> "list[asyncio.Future[None]]":
    add = methodcaller("admit", Ask("req_new", POLICY, PERIODS))
    return [gathering.ask(add, lambda _: None) for _ in range(many)]


def _call(gathering: Gathering) -> list[str]:
    """Take one call; return what its operations are."""
    sent = gathering.take(MOST)
    assert len(sent) <= MOST
    batch = Batch("test")
    assert [each.put_into(batch) for each in sent] == list(range(len(sent)))
    return [operation[0] for operation in msgspec.json.decode(batch.render()[1])["o"]]


async def test_who_asks_is_in_the_next_call_whatever_rides_along() -> None:
    gathering = Gathering()
    _crowd(gathering)
    _asked(gathering, 1)
    told = _call(gathering)
    assert told[0] == "admit"
    assert len(told) <= 1 + 32


async def test_with_nobody_waiting_calls_are_full() -> None:
    gathering = Gathering()
    _crowd(gathering)
    assert [len(_call(gathering)) for _ in range(3)] == [MOST] * 3


async def test_leases_are_renewed_also_while_more_ask_than_a_call_holds() -> None:
    gathering = Gathering()
    _crowd(gathering)
    _asked(gathering, 1000)
    assert Counter(_call(gathering)) == {"admit": 96, "renew": 32}


async def test_what_the_ledger_tells_waits_for_all_settlements() -> None:
    gathering = Gathering()
    raised = methodcaller("raise_spent", "key k", PERIODS.day_name, 1, NOW_US)
    gathering.raise_spent("key k", PERIODS.day_name, raised)
    grant = Grant(Ask("req_1", POLICY, PERIODS))
    for _ in range(MOST + 1):
        gathering.put(methodcaller("settle", grant, 1, 1, 1, NOW_US))
    assert _call(gathering) == ["settle"] * MOST
    assert _call(gathering) == ["settle", "raise"]


async def test_everything_is_sent_once_and_a_second_round_takes_the_place_of_the_first() -> None:
    gathering = Gathering()
    _crowd(gathering)
    _crowd(gathering)
    told: Counter[str] = Counter()
    while gathering:
        told.update(_call(gathering))
    assert told == {"renew": KEYS, "raise": KEYS}


async def test_at_the_end_nothing_rides_along() -> None:
    gathering = Gathering()
    _crowd(gathering)
    _asked(gathering, 1)
    gathering.forget_riders()
    assert _call(gathering) == ["admit"]
    assert not gathering


async def test_who_needs_to_know_is_told_what_is_dropped_and_once() -> None:
    gathering, lost = Gathering(), list[int]()
    for n in range(KEYS + 2):
        gathering.put(
            methodcaller("let_go", Ask("req_1", POLICY, PERIODS)), partial(lost.append, n)
        )
        gathering.bound()
    assert lost == [0, 1]
    gathering.give_up()
    assert lost == [0, 1]  # they go on waiting


async def test_of_a_request_whose_end_is_dropped_too_nothing_is_remembered() -> None:
    gathering = Gathering()
    following = Following(gathering, lambda: None)
    grant = Grant(Ask("req_1", POLICY, PERIODS))
    following.tell(grant.ask, grant)
    gathering.take(MOST)[0].give_up()
    assert following._unheard == {grant}
    following.settle(grant, (1, 1), 1, NOW_US)
    gathering.take(MOST)[0].give_up()
    assert not following._unheard
