"""Four processes on one server keep every limit as one would, to the last request and micro-dollar."""

import asyncio
import json
import sys

import pytest

from proxy.limits.bucket import MINUTE_US, cost_us
from tests.support.redis_server import RedisServer
from tests.unit.limits.load import HOLD, LIVE, PROCESSES, TASKS
from tests.unit.limits.making import PERIODS

HASH, LEASES = "{ar:load}:s:key laptop", "{ar:load}:l:key laptop"


async def _load(server: RedisServer, seconds: float = 60, **terms: int) -> dict[str, list[int]]:
    """Run the processes; return what each tells."""
    command = ("-m", "tests.unit.limits.load", server.url, json.dumps({"key": terms}), str(seconds))
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    async with asyncio.timeout(120):
        printed = await asyncio.gather(*(each.communicate() for each in running))
    told: list[dict[str, int]] = [json.loads(out) for out, _ in printed]
    merged = {name: [each[name] for each in told] for name in told[0]}
    assert not any(merged["alone"])
    return merged


def _kept(server: RedisServer, field: str) -> int:
    with server.client() as client:
        return int(client.hget(HASH, field) or 0)


def _now_us(server: RedisServer) -> int:
    with server.client() as client:
        seconds, micros = client.time()
        return int(seconds) * 1_000_000 + int(micros)


@pytest.mark.slow
async def test_no_request_more_is_let_in_than_the_limit_says_and_none_less(
    redis_server: RedisServer,
) -> None:
    limit = 100
    began_us = _now_us(redis_server)
    told = await _load(redis_server, requests_per_minute=limit)
    full_us, now_us = _kept(redis_server, "r"), _now_us(redis_server)
    granted = sum(told["granted"])
    # The bucket was never full again after the first, so its time is the first's, and the cost of each.
    first_us = full_us - granted * cost_us(1, limit)
    assert began_us <= first_us <= now_us
    assert granted * MINUTE_US <= limit * (MINUTE_US + now_us - first_us)  # E1
    assert granted >= limit  # E5: a minute's worth at once
    assert sum(told["refused"]) == PROCESSES * TASKS


@pytest.mark.slow
async def test_never_are_more_in_flight_than_may_be(redis_server: RedisServer) -> None:
    told = await _load(redis_server, 1.5, max_in_flight=5)
    assert 0 < max(told["most_live"]) <= 5  # E2
    with redis_server.client() as client:
        assert (client.zcard(LEASES), int(client.get(LIVE) or 0)) == (0, 0)
    assert _kept(redis_server, "h") == 0


@pytest.mark.slow
async def test_a_budget_is_spent_to_within_one_request_and_not_a_micro_dollar_beyond(
    redis_server: RedisServer,
) -> None:
    budget = 4_000
    told = await _load(redis_server, day_micros=budget)
    spent = sum(told["spent"])
    assert _kept(redis_server, PERIODS.day_name) == _kept(redis_server, PERIODS.month_name) == spent
    assert budget - HOLD < spent <= budget  # E4; no cost was above its hold
    assert _kept(redis_server, "h") == 0
