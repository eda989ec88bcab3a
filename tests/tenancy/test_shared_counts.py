"""The same at real requests with the counts in Redis, and while it is gone."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from proxy import Budgets, Quota, RateLimits, Redis
from tests.support.gateways import BODY, Running
from tests.support.redis_server import RedisServer
from tests.tenancy.conftest import Start


@pytest.fixture
def store_url(tmp_path: Path, sqlite_made: Path) -> str:
    """Return a store in SQLite only: what is told apart here is where the counts are."""
    return f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"


async def _statuses(gateway: Running, count: int) -> list[int]:
    async def one() -> int:
        async with gateway.post(BODY) as response:
            await response.read()
            return response.status

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_of_many_at_once_exactly_the_limit_passes(
    tenant: Start, redis_server: RedisServer
) -> None:
    redis = Redis(redis_server.url, timeout_ms=5000)
    limit = 20
    async with tenant(limits=RateLimits(requests_per_minute=limit), redis=redis) as started:
        began_s = time.monotonic()
        statuses = await _statuses(started.gateway, 64)
        async with started.gateway.post() as response:
            left = int(response.headers["anthropic-ratelimit-requests-remaining"])
        won_back = int((time.monotonic() - began_s) * limit / 60)
        passed = statuses.count(200)
        assert limit <= passed <= limit + won_back
        assert statuses.count(429) == 64 - passed
        assert left <= won_back


async def test_what_one_gateway_has_spent_the_next_one_knows(
    tenant: Start, redis_server: RedisServer
) -> None:
    redis, quota = Redis(redis_server.url, timeout_ms=5000), Quota(output_reserve_tokens=1)
    passed = []
    for _ in range(2):
        budgets = Budgets(day_micros=300)
        async with tenant(budgets=budgets, redis=redis, quota=quota) as started:
            passed.append((await _statuses(started.gateway, 1) * 1).count(200))
            codes = [code for _ in range(6) for code in await _statuses(started.gateway, 1)]
            passed[-1] += codes.count(200)
    assert passed[0] > 0
    assert passed[1] == 0


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
async def test_without_the_server_requests_are_served_or_refused_as_the_limit_says(
    tenant: Start, redis_server: RedisServer, fail: str, status: int
) -> None:
    limits = RateLimits(requests_per_minute=20, fail=fail)  # type: ignore[arg-type] # one of two
    async with tenant(limits=limits, redis=Redis(redis_server.url, timeout_ms=2000)) as started:
        assert await _statuses(started.gateway, 1) == [200]
        redis_server.kill()
        codes = [code for _ in range(8) for code in await _statuses(started.gateway, 1)]
        assert codes[-1] == status
