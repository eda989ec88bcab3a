"""Bodies take of one budget: nothing is over it, nobody waits for ever, and nothing is lost of it."""

import asyncio

import pytest

from proxy import body_memory
from proxy.body_memory import BodyMemory
from proxy.errors import Overloaded, RequestTooLarge

TOTAL = 1 << 24
HALF = TOTAL // 2


async def _takes(memory: BodyMemory, key: str, size: int) -> asyncio.Task[body_memory.Permit]:
    task = asyncio.create_task(memory.take(key, size))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_a_key_has_half_at_the_most_and_others_the_rest() -> None:
    memory = BodyMemory(TOTAL)
    first = await memory.take("a", HALF)
    assert memory.held_bytes == HALF
    waiting = await _takes(memory, "a", 1)
    second = await memory.take("b", HALF) if not waiting.done() else None
    assert second is not None
    assert memory.held_bytes == TOTAL
    first.hold(0)
    await waiting
    assert memory.held_bytes == HALF + 1


async def test_who_waits_is_let_in_in_turn() -> None:
    memory = BodyMemory(TOTAL)
    held = [await memory.take(key, HALF) for key in "ab"]
    tasks = [await _takes(memory, key, HALF) for key in "cd"]
    held[0].hold(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, False]
    held[1].hold(0)
    assert all(await asyncio.gather(*tasks))


async def test_who_waits_too_long_is_refused_and_holds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_memory, "_LONGEST_WAIT_S", 0.01)
    memory = BodyMemory(TOTAL)
    permits = [await memory.take(key, HALF) for key in "ab"]
    with pytest.raises(Overloaded) as refused:
        await memory.take("c", 1)
    assert refused.value.retry_after_s
    for permit in permits:
        permit.hold(0)
    assert memory.held_bytes == 0
    assert (await memory.take("c", 1)) is not None


async def test_who_is_let_in_as_the_wait_ends_holds_nothing_when_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[asyncio.Timeout] = []

    def noted(seconds: float) -> asyncio.Timeout:
        limits.append(asyncio.timeouts.timeout(seconds))
        return limits[-1]

    monkeypatch.setattr(asyncio, "timeout", noted)
    memory = BodyMemory(TOTAL)
    permits = [await memory.take(key, HALF) for key in "ab"]
    task = await _takes(memory, "c", HALF)
    # In one turn of the loop: somebody gives room back, and the wait is over.
    loop = asyncio.get_running_loop()
    loop.call_soon(permits.pop().hold, 0)
    limits[0].reschedule(loop.time())
    with pytest.raises(Overloaded):
        await task
    for permit in permits:
        permit.hold(0)
    assert memory.held_bytes == 0
    assert (await memory.take("c", HALF)) is not None


@pytest.mark.parametrize("granted_first", [False, True])
async def test_who_leaves_while_waiting_holds_nothing(*, granted_first: bool) -> None:
    memory = BodyMemory(TOTAL)
    permits = [await memory.take(key, HALF) for key in "ab"]
    task = await _takes(memory, "c", HALF)
    if granted_first:
        permits.pop().hold(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for permit in permits:
        permit.hold(0)
    assert memory.held_bytes == 0


async def test_who_holds_some_does_not_wait_for_more() -> None:
    memory = BodyMemory(TOTAL)
    first, second = await memory.take("a", HALF), await memory.take("b", 1)
    second.hold(HALF)
    first.hold(HALF)
    third = BodyMemory(TOTAL)
    one, _two = await third.take("a", 1), await third.take("a", HALF - 1)
    with pytest.raises(Overloaded):
        one.hold(2)
    assert third.held_bytes == HALF


async def test_what_is_more_than_a_key_may_ever_have_is_refused_at_once() -> None:
    """A 413, which nobody tries again: it could wait for ever, or be there beside what the budget knows of."""
    memory = BodyMemory(TOTAL)
    with pytest.raises(RequestTooLarge, match=r"8388608 bytes.*limits\.body_memory_bytes"):
        await memory.take("a", HALF + 1)
    permit = await memory.take("a", HALF)
    with pytest.raises(RequestTooLarge):
        permit.hold_at_least(HALF + 1)
    assert memory.held_bytes == HALF


async def test_what_is_held_when_the_budget_shrinks_is_kept_and_given_back() -> None:
    memory = BodyMemory(TOTAL * 4)
    permit = await memory.take("a", TOTAL)
    memory.resize(TOTAL)
    permit.hold(TOTAL - 1)
    with pytest.raises(RequestTooLarge):
        permit.hold(TOTAL)
    permit.hold(0)
    assert memory.held_bytes == 0


def test_the_default_is_a_part_of_the_memory() -> None:
    assert 0 < body_memory.default_bytes() < 1 << 50
