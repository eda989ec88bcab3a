"""Counts that processes share: whatever the server does, each verdict is its own, and nothing leaks or hangs."""

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.limits.local import Local, Spent
from proxy.limits.policy import Policy
from proxy.limits.verdict import Grant
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, now_us, policy_of
from tests.unit.limits.processes import (
    WITHIN_S,
    Process,
    a_process,
    until,
    until_settled,
)


async def test_processes_share_one_limit(redis_server: RedisServer) -> None:
    async with a_process(redis_server.url) as one, a_process(redis_server.url) as other:
        policies = [
            policy_of(each.local, key={"max_in_flight": 5, "requests_per_minute": 7})
            for each in (one, other)
        ]
        verdicts = await asyncio.gather(
            *(one.admit(policies[0]) for _ in range(10)),
            *(other.admit(policies[1]) for _ in range(10)),
        )
        grants = [each for each in verdicts if isinstance(each, Grant)]
        assert len(grants) == 5
        for grant in grants:
            (one if grant.ask.policy is policies[0] else other).shared.settle(grant, 1, 1, 0)
        await until_settled(one, other)
        verdicts = [await one.admit(policies[0]) for _ in range(3)]
        assert [isinstance(each, Grant) for each in verdicts] == [True, True, False]


async def test_what_is_settled_is_counted_once_for_all(redis_server: RedisServer) -> None:
    async with a_process(redis_server.url) as one, a_process(redis_server.url) as other:
        policy = policy_of(one.local, key={"day_micros": 100, "max_in_flight": 9})
        grant = await one.granted(policy, 5, 5, 40)
        reading = await other.read(policy)
        assert (reading.in_flight, reading.held_micros, reading.day_micros) == (1, 40, 0)
        one.shared.settle(grant, 5, 5, 30)
        one.shared.settle(grant, 5, 5, 30)
        await until_settled(one)
        reading = await other.read(policy)
        assert (reading.in_flight, reading.held_micros, reading.day_micros) == (0, 0, 30)


async def test_a_key_without_limits_asks_nobody(redis_server: RedisServer) -> None:
    redis_server.freeze()
    process = Process(redis_server.url)
    policy = policy_of(process.local)
    assert isinstance(await process.admit(policy), Grant)


async def test_each_verdict_is_its_own_also_when_clients_leave(redis_server: RedisServer) -> None:
    chance = random.Random(7)
    async with a_process(redis_server.url) as process:
        policies = [
            policy_of(process.local, f"k{n}", key={"max_in_flight": 1 + n % 3}) for n in range(30)
        ]
        kept: list[Grant] = []

        async def client(policy: Policy) -> None:
            ask = process.ask(policy)
            verdict = await process.shared.admit(ask)
            if isinstance(verdict, Grant):
                assert verdict.ask is ask
                kept.append(verdict)
            else:
                assert verdict.subject.name == f"key {policy.key}"

        tasks = []
        for _ in range(600):
            tasks.append(asyncio.create_task(client(chance.choice(policies))))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice((0, 0, 0.001)))  # cancelled anywhere
                chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for policy in policies:
            mine = sum(grant.ask.policy is policy for grant in kept)
            await _until_read(process, policy, mine)


async def _until_read(process: Process, policy: Policy, in_flight: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while (reading := await process.read(policy)).in_flight != in_flight:
            pass
    assert reading.subject.counters.in_flight == in_flight


async def test_a_forgotten_script_and_a_new_server_refuse_nobody(redis_server: RedisServer) -> None:
    async with a_process(redis_server.url) as process:
        policy = policy_of(
            process.local, key={"max_in_flight": 10**6, "requests_per_minute": 10**6}
        )

        async def client() -> None:
            for _ in range(100):
                grant = await process.granted(policy)
                await asyncio.sleep(0)
                process.shared.settle(grant, 1, 1, 0)

        clients = [asyncio.create_task(client()) for _ in range(8)]
        with redis_server.client() as plain:
            for _ in range(5):
                plain.script_flush()
                await asyncio.sleep(0.01)  # flushed in the midst of the load
        redis_server.kill()
        redis_server.start()
        await asyncio.gather(*clients)
        await until(lambda: not process.shared.in_outage)
        assert process.local.counters("key laptop").in_flight == 0


@asynccontextmanager
async def _losing_replies(server: RedisServer, path: Path, every: int) -> AsyncIterator[str]:
    """Stand in front of a server; cut the connection instead of every so many replies, which the server has given."""
    replies = itertools.count(1)

    async def pipe(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upstream_writer = await asyncio.open_unix_connection(
            server.url.partition("://")[2]
        )
        try:
            while request := await client.read(1 << 20):
                upstream_writer.write(request)
                reply = await upstream.read(1 << 20)
                if not reply or next(replies) % every == 0:
                    return
                writer.write(reply)
        finally:
            writer.close()
            upstream_writer.close()

    async with await asyncio.start_unix_server(pipe, path):
        yield f"unix://{path}"


async def test_with_lost_replies_nothing_is_let_in_beyond_the_limits_and_money_heals(
    redis_server: RedisServer,
) -> None:
    terms = {"max_in_flight": 4, "requests_per_minute": 150, "day_micros": 10**6}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            _losing_replies(redis_server, Path(folder) / "lossy.sock", 7) as url,
            a_process(url) as process,
        ):
            policy = policy_of(process.local, key=terms)
            in_flight, most, let_in, spent = 0, 0, 0, 0

            async def client() -> None:
                nonlocal in_flight, most, let_in, spent
                for cost in range(40):
                    verdict = await process.admit(policy, 1, 1, 50)
                    if isinstance(verdict, Grant):
                        in_flight, let_in = in_flight + 1, let_in + 1
                        most = max(most, in_flight)
                        await asyncio.sleep(0)
                        process.shared.settle(verdict, 1, 1, cost)
                        in_flight, spent = in_flight - 1, spent + cost
                    else:
                        await asyncio.sleep(0.001)  # a client that tries again

            began_s = time.monotonic()
            await asyncio.gather(*(client() for _ in range(10)))
            took_s = time.monotonic() - began_s
            assert 0 < most <= 4
            assert 0 < let_in <= 150 + 150 * took_s / 60
            assert process.local.read(policy, PERIODS, 0)[0].day_micros == spent
            await until(lambda: not process.shared.in_outage)
            with redis_server.client() as plain:
                hash_name, day = "{ar:test}:s:key laptop", PERIODS.day_name
                assert int(plain.hget(hash_name, day) or 0) <= spent
                ledger = {"key laptop": Spent(spent, spent)}
                while int(plain.hget(hash_name, day) or 0) != spent:
                    process.shared.raise_spent(ledger, PERIODS, now_us())
                    await asyncio.sleep(0.02)  # a server's state has no event


async def test_an_emptied_server_gets_its_money_back_from_the_ledger(
    redis_server: RedisServer,
) -> None:
    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key={"day_micros": 100, "month_micros": 100})
        process.shared.settle(await process.granted(policy, 1, 1, 10), 1, 1, 70)
        await until_settled(process)
        process.unknown.clear()
        with redis_server.client() as plain:
            plain.flushall()
        await process.granted(policy, 1, 1, 1)
        assert process.unknown == [["key laptop"]]
        process.shared.raise_spent({"key laptop": Spent(70, 80)}, PERIODS, now_us())
        async with asyncio.timeout(WITHIN_S):
            while not (reading := await process.read(policy)).month_micros:
                pass
        assert (reading.day_micros, reading.month_micros) == (70, 80)


async def test_the_lease_of_what_is_in_flight_is_renewed(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.limits.shared._RENEW_S", 0.01)
    async with a_process(redis_server.url) as process:
        await process.granted(policy_of(process.local, key={"max_in_flight": 1}))
        with redis_server.client() as plain:
            leases = "{ar:test}:l:key laptop"
            first = plain.zrange(leases, 0, -1, withscores=True)
            await until(lambda: plain.zrange(leases, 0, -1, withscores=True) > first)


async def test_what_waits_is_sent_before_the_end(redis_server: RedisServer) -> None:
    policy = policy_of(Local(), key={"day_micros": 100})
    async with a_process(redis_server.url) as process:
        process.shared.settle(await process.granted(policy, 1, 1, 10), 1, 1, 7)
    async with a_process(redis_server.url) as process:
        assert (await process.read(policy)).day_micros == 7
