"""Limits that processes share, while the way to their server is long: nobody waits behind others, no slot is lost."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from proxy.errors import LimitsUnavailable
from proxy.limits.local import Spent
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, now_us, policy_of
from tests.unit.limits.processes import (
    WITHIN_S,
    a_process,
    slow_way,
    until,
    until_settled,
)


async def test_no_request_waits_behind_what_is_told_of_ten_thousand_keys(
    redis_server: RedisServer,
) -> None:
    calls: list[int] = []

    async def note(call: bytes) -> None:
        calls.append(len(call))
        await asyncio.sleep(0.01)  # the way to the server is long

    with tempfile.TemporaryDirectory() as folder:
        async with (
            slow_way(redis_server, Path(folder) / "slow.sock", note) as url,
            a_process(url) as process,
        ):
            policy = policy_of(process.local, key={"max_in_flight": 9, "day_micros": 10**6})
            ledger = {f"key k{n}": Spent(n + 1, n + 1) for n in range(10_000)}
            process.shared.raise_spent(ledger, PERIODS, now_us())
            await until(lambda: len(calls) > 3)
            before = len(calls)
            for _ in range(5):
                process.shared.settle(await process.granted(policy, 1, 1, 1), 1, 1, 1)
            # The call that was out when it came, and its own; 20,000 raises make 150 of them.
            assert len(calls) - before <= 10
            assert (await process.read(policy)).day_micros == 5


async def test_what_the_ledger_tells_may_overtake_a_settlement_on_a_slow_way(
    redis_server: RedisServer,
) -> None:
    """Another process reads the row of a request whose settlement is still on its way."""
    is_free, holds_one = asyncio.Event(), asyncio.Event()
    is_free.set()

    async def gate(_: bytes) -> None:
        if not is_free.is_set():
            holds_one.set()
        await is_free.wait()

    with tempfile.TemporaryDirectory() as folder:
        async with (
            slow_way(redis_server, Path(folder) / "slow.sock", gate) as url,
            a_process(url) as slow,
            a_process(redis_server.url) as quick,
        ):
            policy = policy_of(slow.local, key={"day_micros": 1000, "month_micros": 1000})
            grants = [await slow.granted(policy, 1, 1, 10) for _ in range(2)]
            is_free.clear()
            slow.shared.settle(grants[0], 1, 1, 70)
            await holds_one.wait()
            quick.shared.raise_spent({"key laptop": Spent(70, 70)}, PERIODS, now_us())
            slow.shared.settle(grants[1], 1, 1, 5)  # in the ledger later
            await until_settled(quick)
            is_free.set()
            await until_settled(slow)
            reading = await quick.read(policy)
            # What ended in the moment of the ledger's word may be left to its next one.
            assert reading.day_micros in {70, 75}
            assert (reading.in_flight, reading.held_micros) == (0, 0)
            quick.shared.raise_spent({"key laptop": Spent(75, 75)}, PERIODS, now_us())
            await until_settled(quick)
            reading = await quick.read(policy)
            assert (reading.day_micros, reading.month_micros) == (75, 75)


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_a_verdict_that_came_too_late_takes_no_slot_longer_than_its_request_lasts(
    redis_server: RedisServer, fail: str
) -> None:
    """The server lets it in when nobody waits any more: that is no reason to refuse others until the lease ends."""
    is_free = asyncio.Event()
    is_free.set()

    async def gate(_: bytes) -> None:
        await is_free.wait()

    terms = {
        "max_in_flight": 1,
        "requests_per_minute": 9,
        "day_micros": 1000,
        "limits_fail": fail,
    }
    with tempfile.TemporaryDirectory() as folder:
        async with (
            slow_way(redis_server, Path(folder) / "slow.sock", gate) as url,
            a_process(url, 0.3) as slow,
            a_process(redis_server.url) as quick,
        ):
            policy = policy_of(slow.local, key=terms)
            is_free.clear()
            if fail == "closed":
                with pytest.raises(LimitsUnavailable):
                    await slow.admit(policy, 1, 1, 10)
            else:
                grant = await slow.granted(policy, 1, 1, 10)
            is_free.set()
            if fail == "open":
                slow.shared.settle(grant, 1, 1, 7)
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await slow.read(policy)
                    reading = await quick.read(policy)
                    if reading.requests_us and not reading.in_flight:
                        break
            assert (reading.held_micros, reading.day_micros) == (0, 7 * (fail == "open"))


async def test_a_client_that_leaves_before_a_verdict_that_is_lost_leaves_no_slot_taken(
    redis_server: RedisServer,
) -> None:
    has_asked, is_free = asyncio.Event(), asyncio.Event()
    is_free.set()

    async def gate(request: bytes) -> None:
        if b'"admit"' in request:
            has_asked.set()
        await is_free.wait()

    with tempfile.TemporaryDirectory() as folder:
        async with (
            slow_way(redis_server, Path(folder) / "slow.sock", gate) as url,
            a_process(url, 0.3) as slow,
            a_process(redis_server.url) as quick,
        ):
            policy = policy_of(slow.local, key={"max_in_flight": 1, "requests_per_minute": 9})
            is_free.clear()
            asking = asyncio.create_task(slow.admit(policy))
            await has_asked.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await slow.read(policy)  # the call that asked is given up
            is_free.set()
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await slow.read(policy)
                    reading = await quick.read(policy)
                    if reading.requests_us and not reading.in_flight:
                        break
