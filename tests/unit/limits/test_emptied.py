"""A server that is emptied while processes count in it gets its money back from the ledger, and never too much.

Elsewhere each process seeds a counter that is cold, and budgets double: BerriAI/litellm#28247, #40050.
"""

import asyncio
import contextlib
import random

import redis.asyncio

from proxy.limits.local import Spent
from proxy.limits.verdict import Grant
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, policy_of
from tests.unit.limits.test_shared import Process, a_process

PROCESSES, CLIENTS, ROUNDS = 4, 4, 30
HASH, LEASES = "{ar:test}:s:key laptop", "{ar:test}:l:key laptop"


async def test_emptied_under_load_of_four_processes_it_has_all_that_was_spent_and_never_more(
    redis_server: RedisServer,
) -> None:
    chance, settled, ledger, is_over = random.Random(4), 0, 0, False
    async with contextlib.AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(a_process(redis_server.url)) for _ in range(PROCESSES)
        ]
        plain = redis.asyncio.Redis.from_url(redis_server.url)
        stack.push_async_callback(plain.aclose)

        async def spent() -> int:
            return int(await plain.hget(HASH, PERIODS.day_name) or 0)

        async def client(process: Process) -> None:
            nonlocal settled, ledger
            policy = policy_of(process.local, key={"day_micros": 10**9})
            for _ in range(ROUNDS):
                verdict = await process.admit(policy, 1, 1, 50)
                assert isinstance(verdict, Grant)
                await asyncio.sleep(chance.random() / 500)
                cost = chance.randint(1, 50)
                settled += cost
                process.shared.settle(verdict, 1, 1, cost)
                # A row is in the ledger later than its settlement in the server; a read goes behind that.
                await process.read(policy)
                ledger += cost
                if process.unknown or chance.random() < 0.1:
                    process.unknown.clear()
                    process.shared.raise_spent({"key laptop": Spent(ledger, ledger)}, PERIODS)

        async def watch() -> None:
            while not is_over:
                told = await spent()
                assert told <= settled
                await asyncio.sleep(0.001)

        watching = asyncio.create_task(watch())
        clients = [asyncio.create_task(client(each)) for each in processes for _ in range(CLIENTS)]
        for _ in range(5):
            await asyncio.sleep(0.03)
            await plain.flushall()
        await asyncio.gather(*clients)
        # What each does once a minute, now that the ledger has every row.
        for each in processes:
            each.shared.raise_spent({"key laptop": Spent(settled, settled)}, PERIODS)
        policy = policy_of(processes[0].local, key={"day_micros": 10**9})
        while (await processes[0].read(policy)).day_micros != settled:
            assert not watching.done()
        is_over = True
        await watching
        assert await plain.zcard(LEASES) == 0
        assert int(await plain.hget(HASH, "h") or 0) == 0
