"""A server that is emptied while processes count in it gets its money back from the ledger, and never too much.

Elsewhere each process seeds a counter that is cold, and budgets double: BerriAI/litellm#28247, #40050.
"""

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path

import redis.asyncio

from proxy.limits.local import Spent
from proxy.limits.verdict import Grant
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, now_us, policy_of
from tests.unit.limits.processes import Process, a_process, slow_way, until_settled

PROCESSES, CLIENTS, ROUNDS = 4, 4, 30
HASH, LEASES = "{ar:test}:s:key laptop", "{ar:test}:l:key laptop"


async def _wait(_: bytes) -> None:
    await asyncio.sleep(random.random() / 50)  # the way to the server is long


async def _counted(server: redis.asyncio.Redis) -> int:
    return int(await server.hget(HASH, PERIODS.day_name) or 0)


class _Load:
    """Requests of all processes; `spent` is what they have cost, in the ledger at once."""

    def __init__(self) -> None:
        self.spent, self.is_over = 0, False
        self._chance = random.Random(4)

    async def client(self, process: Process) -> None:
        policy = policy_of(process.local, key={"day_micros": 10**9})
        for _ in range(ROUNDS):
            verdict = await process.admit(policy, 1, 1, 50)
            assert isinstance(verdict, Grant)
            await asyncio.sleep(self._chance.random() / 500)  # a request takes a while
            cost = self._chance.randint(1, 50)
            # From here on others may tell of it, before its settlement has come to the server.
            self.spent += cost
            process.shared.settle(verdict, 1, 1, cost)
            if process.unknown or self._chance.random() < 0.1:
                process.unknown.clear()
                self.tell(process)

    def tell(self, process: Process) -> None:
        ledger = {"key laptop": Spent(self.spent, self.spent)}
        process.shared.raise_spent(ledger, PERIODS, now_us())

    async def watch(self, server: redis.asyncio.Redis) -> None:
        while not self.is_over:
            counted = await _counted(server)
            assert counted <= self.spent
            await asyncio.sleep(0.001)  # looks often, while others run


async def test_emptied_under_load_of_four_processes_it_has_all_that_was_spent_and_never_more(
    redis_server: RedisServer,
) -> None:
    load = _Load()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        slow = await stack.enter_async_context(slow_way(redis_server, folder / "slow.sock", _wait))
        processes = [
            await stack.enter_async_context(a_process(slow if n % 2 else redis_server.url))
            for n in range(PROCESSES)
        ]
        plain = redis.asyncio.Redis.from_url(redis_server.url)
        stack.push_async_callback(plain.aclose)
        watching = asyncio.create_task(load.watch(plain))
        clients = [
            asyncio.create_task(load.client(each)) for each in processes for _ in range(CLIENTS)
        ]
        for _ in range(5):
            await asyncio.sleep(0.03)  # emptied in the midst of the load
            await plain.flushall()
        await asyncio.gather(*clients)
        await until_settled(*processes)
        # What each does once a minute, now that the ledger has every row.
        for each in processes:
            load.tell(each)
        while await _counted(plain) != load.spent:
            assert not watching.done(), watching
        load.is_over = True
        await watching
        assert await plain.zcard(LEASES) == 0
        assert int(await plain.hget(HASH, "h") or 0) == 0
