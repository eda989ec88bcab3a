"""Agents that read nearly all they send from the cache are stopped at their budget, not long before."""

import asyncio
import json

import pytest

from proxy import Budgets
from proxy.sandbox import Knobs
from tests.support.gateways import Running
from tests.tenancy.conftest import Start

DOLLAR = 1_000_000
AGENTS = 8
# Haiku 4.5: 1.8 cents a request, of which a worst case would hold 56.
USED = json.dumps(
    {
        "input_tokens": 10,
        "cache_creation_input_tokens": 3000,
        "cache_read_input_tokens": 97_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 3000, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 900,
    }
)
BODY = json.dumps(
    {
        "model": "anthropic/claude-haiku-4.5",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "x" * 400_000}],
    }
).encode()


async def _work(gateway: Running) -> str:
    """Ask until the budget is spent; return what was said then."""
    while True:
        async with gateway.post(BODY) as response:
            told = await response.json()
            if response.status == 200:
                continue
            assert response.status == 429
            if told["error"]["type"] == "billing_error":
                return str(told["error"]["message"])
            # The rest is held by others: worth trying again.
            assert response.headers["retry-after"] == "5"
        await asyncio.sleep(0.02)  # an agent that tries again


@pytest.mark.slow
async def test_eight_agents_are_stopped_within_five_percent_of_a_dollar(tenant: Start) -> None:
    async with tenant(
        budgets=Budgets(day_micros=DOLLAR), knobs=Knobs(usage=USED, ttfb=0.05)
    ) as started:
        said = await asyncio.gather(*(_work(started.gateway) for _ in range(AGENTS)))
        tenancy = started.gateway.gateway.tenancy
        assert tenancy is not None
        counters = tenancy.admission.counters("key tester")
    assert all(each.startswith("spend limit reached (daily, $1.00 of key tester") for each in said)
    assert (counters.in_flight, counters.held_micros) == (0, 0)
    (spent,) = {
        name: each for name, each in counters.spent_micros.items() if name[0] == "d"
    }.values()
    assert 0.95 * DOLLAR <= spent <= 1.05 * DOLLAR
