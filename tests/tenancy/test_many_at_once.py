"""Of many that ask at once, as many are let in as there is room for, to the last one: by budget, here and in Redis.

Elsewhere all of them pass, since what they will cost is counted when they have ended: BerriAI/litellm#34732, #18730;
or those with much left are not counted at all: songquanpeng/one-api#925.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy import Budgets, Redis
from proxy.limits.periods import periods_at
from proxy.limits.verdict import Reading
from tests.ledger.rows import until
from tests.support.gateways import BODY
from tests.support.raw import RawUpstream, UpstreamSide, answer, raw_upstream
from tests.support.redis_server import RedisServer
from tests.tenancy.conftest import Start, Tenant

CLIENTS, ROOM = 64, 20
# Of Sonnet 4.6: a quarter of the body's bytes written to the cache, and all the output that it allows.
HOLD = -(-len(BODY) // 4) * 3.75 + 64 * 15
COST = 11 * 3 + 7 * 15


@pytest.fixture
def store_url(tmp_path: Path, sqlite_made: Path) -> str:
    """Return a store in SQLite only: what is told apart here is where the counts are."""
    return f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"


class Gate(NamedTuple):
    """A gateway before an upstream that answers when it may."""

    started: Tenant
    upstream: RawUpstream
    opened: asyncio.Event

    async def ask(self) -> tuple[Reading, list[int]]:
        """Have all ask at once; return what was used while those let in were waiting, and every status."""
        before = len(self.upstream.requests)
        self.opened.clear()
        asking = [asyncio.create_task(self._one()) for _ in range(CLIENTS)]

        def all_decided() -> bool:
            let_in = len(self.upstream.requests) - before
            return let_in + sum(each.done() for each in asking) == CLIENTS

        await until(all_decided)
        reading = await self.reading()
        self.opened.set()
        return reading, await asyncio.gather(*asking)

    async def _one(self) -> int:
        async with self.started.gateway.post() as response:
            error = (await response.json()).get("error")
            # What is held by others is worth another try.
            assert error is None or (error["type"], response.headers["retry-after"]) == (
                "rate_limit_error",
                "5",
            )
            return response.status

    async def reading(self) -> Reading:
        """Return what the key has used."""
        tenancy = self.started.gateway.gateway.tenancy
        assert tenancy is not None
        (key,) = self.started.gateway.gateway.snapshot.config.keys
        periods = periods_at(int(time.time() * 1000))
        (reading,) = await tenancy.admission.read(key, periods)
        return reading


@contextlib.asynccontextmanager
async def _gate(tenant: Start, redis: RedisServer | None, budget: int) -> AsyncIterator[Gate]:
    opened = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await opened.wait()
        await exchange.send(answer())

    more = {} if redis is None else {"redis": Redis(redis.url, timeout_ms=5000)}
    async with (
        raw_upstream(script) as upstream,
        tenant(budgets=Budgets(day_micros=budget), upstream=upstream.url, **more) as started,
    ):
        yield Gate(started, upstream, opened)


@pytest.fixture(params=[False, True], ids=["here", "in redis"])
def redis(request: pytest.FixtureRequest) -> RedisServer | None:
    """Return a server, or none, so that the process counts by itself."""
    server: RedisServer | None = request.getfixturevalue("redis_server") if request.param else None
    return server


async def test_a_budget_for_twenty_lets_twenty_in_and_then_what_their_real_costs_leave(
    tenant: Start, redis: RedisServer | None
) -> None:
    budget = ROOM * round(HOLD)
    async with _gate(tenant, redis, budget) as gate:
        reading, statuses = await gate.ask()
        assert (reading.in_flight, reading.held_micros) == (ROOM, budget)
        assert sorted(statuses) == [200] * ROOM + [429] * (CLIENTS - ROOM)
        spent = ROOM * COST
        reading = await gate.reading()
        assert (reading.in_flight, reading.held_micros, reading.day_micros) == (0, 0, spent)
        # Their usage has taught that less of a body counts, so that less is held now.
        reading, statuses = await gate.ask()
        hold, rest = divmod(reading.held_micros, reading.in_flight)
        assert (rest, hold < HOLD) == (0, True)
        room = (budget - spent) // hold
        assert (reading.in_flight, statuses.count(200)) == (room, room)
        reading = await gate.reading()
        assert (reading.held_micros, reading.day_micros) == (0, spent + room * COST)


async def test_who_has_much_left_is_held_to_it_no_less(
    tenant: Start, redis: RedisServer | None
) -> None:
    async with _gate(tenant, redis, 10**15) as gate:
        reading, statuses = await gate.ask()
        assert (reading.in_flight, reading.held_micros) == (CLIENTS, CLIENTS * round(HOLD))
        assert statuses == [200] * CLIENTS
