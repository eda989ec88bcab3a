"""Who waits for a slot gets it in turn, and nobody overtakes."""

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec
import pytest

from proxy.causes import Cause
from proxy.errors import Draining, LimitExceeded
from proxy.limits.local import Local
from proxy.limits.policy import Policy
from proxy.limits.queue import Queue
from proxy.limits.verdict import Ask, Grant, Refusal, Rule
from tests.unit.limits.making import NOW_US, PERIODS, message, policy_of


class Gate:
    """Local counts with a queue, the way a gateway has them."""

    def __init__(self, poll_s: float = 0) -> None:
        self.local = Local()
        self.queue = Queue(self._admit, poll_s)
        self.now_us = NOW_US
        self.asked = 0

    async def _admit(self, ask: Ask) -> Grant | Refusal:
        self.asked += 1
        return self.local.admit(ask, self.now_us)

    async def enter(self, ask: Ask) -> Grant | Refusal:
        verdict = self.queue.ahead(ask.policy) or await self._admit(ask)
        if isinstance(verdict, Grant) or verdict.rule is not Rule.IN_FLIGHT:
            return verdict
        return await self.queue.enter(ask, verdict, contextlib.nullcontext)

    def begin(self, policy: Policy) -> "asyncio.Task[Grant | Refusal]":
        return asyncio.create_task(self.enter(message(policy)))

    def end(self, grant: Grant | Refusal) -> None:
        assert isinstance(grant, Grant)
        self.local.settle(grant, 0, 0, 0)
        self.queue.wake()


async def _settled() -> None:
    """Let everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def test_a_key_is_served_in_the_order_it_came(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    tasks = [gate.begin(policy) for _ in range(5)]
    for index, task in enumerate(tasks):
        await _settled()
        assert [each.done() for each in tasks] == [True] * (index + 1) + [False] * (4 - index)
        gate.end(task.result())


async def test_keys_take_turns_however_many_each_has_waiting(gate: Gate) -> None:
    owner = {"max_in_flight": 1}
    policies = {name: policy_of(gate.local, name, owner=owner) for name in "abc"}
    first = await gate.enter(message(policies["a"]))
    order: list[str] = []

    async def run(name: str) -> None:
        grant = await gate.enter(message(policies[name]))
        order.append(name)
        await asyncio.sleep(0)
        gate.end(grant)

    tasks = []
    for name in "aaaabbc":
        tasks.append(asyncio.create_task(run(name)))
        await _settled()
    gate.end(first)
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert "".join(order) == "abcabaa"


async def test_who_comes_anew_goes_behind_those_who_wait(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    held = await gate.enter(message(policy))
    waiting = gate.begin(policy)
    await _settled()
    assert isinstance(held, Grant)
    gate.local.settle(held, 0, 0, 0)
    late = gate.begin(policy)  # the slot is free, and nobody was told
    await _settled()
    assert not late.done()
    gate.queue.wake()
    await _settled()
    assert (waiting.done(), late.done()) == (True, False)
    gate.end(waiting.result())
    await _settled()
    gate.end(late.result())


async def test_a_key_with_room_of_its_own_does_not_wait_for_another(gate: Gate) -> None:
    full = policy_of(gate.local, "full", key={"max_in_flight": 1}, owner={"max_in_flight": 9})
    other = policy_of(gate.local, "other", key={"max_in_flight": 1}, owner={"max_in_flight": 9})
    await gate.enter(message(full))
    waiting = gate.begin(full)
    await _settled()
    assert isinstance(await gate.enter(message(other)), Grant)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_client_that_leaves_gives_its_place_to_the_next(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    held = await gate.enter(message(policy))
    leaves, stays = gate.begin(policy), gate.begin(policy)
    await _settled()
    gate.end(held)
    leaves.cancel()  # its turn has come, and it is gone
    await _settled()
    assert leaves.cancelled()
    gate.end(stays.result())
    assert gate.local.counters("key laptop").in_flight == 0
    assert gate.queue.ahead(policy) is None


async def test_whoever_is_refused_for_something_else_waits_no_longer(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1, "requests_per_minute": 1})
    gate.now_us -= 60_000_000
    held = await gate.enter(message(policy))
    gate.now_us = NOW_US
    waiting = gate.begin(policy)
    await _settled()
    assert isinstance(held, Grant)
    gate.local.settle(held, 0, 0, 0)
    other = gate.local.admit(message(policy), gate.now_us)
    assert isinstance(other, Grant)
    gate.end(other)
    await _settled()
    verdict = waiting.result()
    assert isinstance(verdict, Refusal)
    assert verdict.rule is Rule.REQUESTS


@contextlib.contextmanager
def _broken_off(reason: Exception) -> Iterator[None]:
    """As the exchange's clock does: what it interrupts ends with its reason."""
    try:
        yield
    except asyncio.CancelledError:
        raise reason from None


async def test_who_has_waited_too_long_is_refused_with_the_limit_it_waited_for(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    await gate.enter(message(policy))
    refusal = gate.local.admit(message(policy), NOW_US)
    assert isinstance(refusal, Refusal)
    reason = LimitExceeded("too long", Cause.LIMITED_IN_FLIGHT, 5)
    task = asyncio.create_task(
        gate.queue.enter(message(policy), refusal, lambda: _broken_off(reason))
    )
    await _settled()
    task.cancel()
    assert await task == refusal
    assert gate.queue.ahead(policy) is None


async def test_a_drain_ends_the_wait(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    await gate.enter(message(policy))
    refusal = gate.local.admit(message(policy), NOW_US)
    assert isinstance(refusal, Refusal)
    task = asyncio.create_task(
        gate.queue.enter(message(policy), refusal, lambda: _broken_off(Draining()))
    )
    await _settled()
    task.cancel()
    with pytest.raises(Draining):
        await task
    assert gate.queue.ahead(policy) is None


async def test_who_goes_behind_another_key_is_told_nothing_of_what_that_has_left(
    gate: Gate,
) -> None:
    owner = {"max_in_flight": 1}
    first, second = (policy_of(gate.local, name, owner=owner) for name in "ab")
    await gate.enter(message(first))
    refusal = gate.local.admit(message(first), NOW_US)
    assert isinstance(refusal, Refusal)
    told = msgspec.structs.replace(refusal, readings=gate.local.read(first, PERIODS, NOW_US))
    task = asyncio.create_task(gate.queue.enter(message(first), told, contextlib.nullcontext))
    await _settled()
    assert gate.queue.ahead(first) == told
    assert gate.queue.ahead(second) == msgspec.structs.replace(told, readings=None)
    task.cancel()
    await asyncio.wait([task])


async def test_a_hundred_of_a_key_wait_and_no_more(gate: Gate) -> None:
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    await gate.enter(message(policy))
    tasks = [gate.begin(policy) for _ in range(100)]
    await _settled()
    refusal = await gate.enter(message(policy))
    assert isinstance(refusal, Refusal)
    assert refusal.rule is Rule.IN_FLIGHT
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_with_other_processes_about_the_first_asks_again_by_itself() -> None:
    gate = Gate(poll_s=0.001)
    policy = policy_of(gate.local, key={"max_in_flight": 1})
    held = await gate.enter(message(policy))
    waiting = gate.begin(policy)
    await _settled()
    assert isinstance(held, Grant)
    gate.local.settle(held, 0, 0, 0)  # elsewhere: nobody wakes the queue
    async with asyncio.timeout(5):
        assert isinstance(await waiting, Grant)
