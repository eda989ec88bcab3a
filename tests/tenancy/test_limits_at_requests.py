"""Limits and budgets at real requests: what is refused, how it is told, and that nothing is held afterwards."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from proxy import Budgets, Owner, Quota, RateLimits
from proxy.exchange import Phase
from proxy.limits.policy import Counters
from tests.ledger.rows import until
from tests.support.gateways import BODY, KEY, STREAM_BODY, Running
from tests.support.pools import good
from tests.support.raw import RawUpstream, UpstreamSide, raw_upstream
from tests.tenancy.conftest import Start, Tenant

ONE_CENT = 10_000


class Held(NamedTuple):
    """A gateway before an upstream that answers nothing until `may_answer` is set."""

    started: Tenant
    upstream: RawUpstream
    may_answer: asyncio.Event


def _counters(gateway: Running, name: str) -> Counters:
    tenancy = gateway.gateway.tenancy
    assert tenancy is not None
    return tenancy.admission.counters(name)


async def _statuses(gateway: Running, count: int, body: bytes = BODY) -> list[int]:
    async def one() -> int:
        async with gateway.post(body) as response:
            await response.read()
            return response.status

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_of_many_at_once_exactly_the_limit_passes(tenant: Start) -> None:
    limit = 20
    async with tenant(limits=RateLimits(requests_per_minute=limit)) as started:
        began_s = time.monotonic()
        statuses = await _statuses(started.gateway, 64)
        won_back = int((time.monotonic() - began_s) * limit / 60)
        passed = statuses.count(200)
        assert limit <= passed <= limit + won_back
        assert statuses.count(429) == 64 - passed
        assert _counters(started.gateway, "key tester").in_flight == 0
        rows = await started.rows(64)
        refused = [row for row in rows if row.cause == "limited_requests"]
        assert (len(refused), {row.status for row in refused}) == (64 - passed, {429})


async def test_a_refusal_by_a_rate_says_whose_limit_and_when_to_come_back(tenant: Start) -> None:
    async with tenant(limits=RateLimits(requests_per_minute=1)) as started:
        await _statuses(started.gateway, 1)
        async with started.gateway.post() as response:
            error = (await response.json())["error"]
            assert (response.status, error["type"]) == (429, "rate_limit_error")
            assert error["message"] == "requests per minute of key tester: 1"
            assert 1 <= int(response.headers["retry-after"]) <= 60
            assert response.headers["anthropic-ratelimit-requests-remaining"] == "0"
        async with started.gateway.post(path="/v1/messages/count_tokens", body=_COUNT) as counted:
            assert counted.status == 200


_COUNT = BODY.replace(b' "max_tokens": 64,', b"")


@contextlib.asynccontextmanager
async def _holding(tenant: Start, **changes: Any) -> AsyncIterator[Held]:
    """Start a gateway whose upstream answers nothing until it is told to."""
    may_answer = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await may_answer.wait()
        await good(exchange)

    async with (
        raw_upstream(script) as upstream,
        tenant(upstream=upstream.url, **changes) as started,
    ):
        yield Held(started, upstream, may_answer)


async def test_no_more_are_in_flight_than_may_be_and_a_slot_is_free_again_at_the_end(
    tenant: Start,
) -> None:
    async with _holding(tenant, limits=RateLimits(max_in_flight=2)) as held:
        gateway = held.started.gateway
        asking = [asyncio.create_task(_statuses(gateway, 1)) for _ in range(6)]
        await until(
            lambda: len(held.upstream.requests) + sum(each.done() for each in asking) == len(asking)
        )
        held.may_answer.set()
        assert sorted(await asyncio.gather(*asking)) == [[200]] * 2 + [[429]] * 4
        assert await _statuses(gateway, 2, STREAM_BODY) == [200] * 2
        assert _counters(gateway, "key tester").in_flight == 0


async def test_with_a_queue_those_over_max_in_flight_wait_and_all_are_served(tenant: Start) -> None:
    limits, quota = RateLimits(max_in_flight=1), Quota(queue_s=60)
    async with _holding(tenant, limits=limits, quota=quota) as held:
        gateway = held.started.gateway
        in_flight = gateway.gateway.deadlines.in_flight
        asking = asyncio.create_task(_statuses(gateway, 5))
        await until(lambda: [each.phase for each in in_flight].count(Phase.QUEUE) == 4)
        held.may_answer.set()
        assert await asking == [200] * 5
        rows = await held.started.rows(5)
        assert sum(row.queued_ms is not None for row in rows) == 4
        for row in rows:  # what one waits for is not what the gateway takes
            assert row.gateway_us is not None
            assert row.first_byte_ms is not None
            assert row.gateway_us <= 1000 * (row.first_byte_ms + 2 - (row.queued_ms or 0))


async def test_a_spent_budget_refuses_in_the_words_claude_code_shows(tenant: Start) -> None:
    quota = Quota(contact="Ask ops.", output_reserve_tokens=1)
    async with tenant(budgets=Budgets(day_micros=300), quota=quota) as started:
        codes = [code for _ in range(8) for code in await _statuses(started.gateway, 1)]
        passed = codes.count(200)
        assert codes == [200] * passed + [429] * (8 - passed)
        async with started.gateway.post() as response:
            error = (await response.json())["error"]
            fields = response.headers
        assert error["type"] == "billing_error"
        assert error["message"].startswith(
            "spend limit reached (daily, $0.0003 of key tester; resets "
        )
        assert error["message"].endswith("00:00 UTC). Ask ops.")
        assert fields["x-should-retry"] == "false"
        assert fields["anthropic-ratelimit-unified-status"] == "rejected"
        assert "anthropic-ratelimit-unified-representative-claim" not in fields
        rows = await started.rows(9)
        costs = [row.cost_micros for row in rows]
        spent = sum(costs)
        # The last one was let in alone, with something left.
        assert 300 <= spent < 300 + max(costs)
        assert sum(_counters(started.gateway, "key tester").spent_micros.values()) == 2 * spent
        assert _counters(started.gateway, "key tester").held_micros == 0


async def test_with_holds_for_the_worst_case_nothing_is_let_in_that_may_exceed_the_budget(
    tenant: Start,
) -> None:
    async with tenant(budgets=Budgets(day_micros=300), quota=Quota(hold="worst")) as started:
        assert await _statuses(started.gateway, 1) == [429]
        (row,) = await started.rows(1)
        assert (row.cause, row.cost_micros) == ("budget_spent", 0)


async def test_a_spent_budget_still_lets_tokens_be_counted_and_models_listed(tenant: Start) -> None:
    async with tenant(budgets=Budgets(day_micros=0)) as started:
        gateway = started.gateway
        assert await _statuses(gateway, 1) == [429]
        async with gateway.post(path="/v1/messages/count_tokens", body=_COUNT) as counted:
            assert counted.status == 200
        url, headers = (
            f"{gateway.url}/v1/models",
            {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        )
        async with gateway.session.get(url, headers=headers) as listed:
            assert listed.status == 200
        rows = await started.rows(3)
        assert {row.endpoint for row in rows} == {"messages", "count_tokens", "models"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"owners": (Owner("team-a", budgets=Budgets(month_micros=0)),)}, "owner team-a"),
        ({"quota": Quota(global_budgets=Budgets(month_micros=0))}, "global"),
        ({"quota": Quota(each_key_budgets=Budgets(month_micros=0))}, "key tester"),
    ],
)
async def test_the_budgets_of_owners_of_all_and_of_each_key_count(
    tenant: Start, changes: dict[str, Any], name: str
) -> None:
    async with tenant(**changes) as started, started.gateway.post() as response:
        error = (await response.json())["error"]
        assert error["message"].startswith(f"spend limit reached (monthly, $0.00 of {name}; ")
        is_pool = name != "key tester"
        scope = response.headers.get("anthropic-ratelimit-unified-overage-scope")
        assert (scope == "group_pool") is is_pool


async def test_shadow_refuses_nothing_and_the_row_says_what_it_would_have(tenant: Start) -> None:
    limits = RateLimits(requests_per_minute=1, shadow=True)
    async with tenant(limits=limits) as started:
        assert await _statuses(started.gateway, 3) == [200] * 3
        async with started.gateway.post() as response:
            assert not [name for name in response.headers if "ratelimit" in name.lower()]
        rows = await started.rows(4)
        assert [row.would_refuse for row in rows].count("limited_requests") == 3


async def test_the_upstreams_own_limits_are_not_shown_to_a_key_with_limits(tenant: Start) -> None:
    async with (
        tenant(limits=RateLimits(requests_per_minute=2)) as started,  # half a minute for one more
        started.gateway.post() as response,
    ):
        assert response.headers.getall("anthropic-ratelimit-requests-limit") == ["2"]
        assert response.headers["anthropic-ratelimit-requests-remaining"] == "1"


async def test_a_key_can_ask_what_it_has_left(tenant: Start) -> None:
    async with tenant(budgets=Budgets(day_micros=ONE_CENT)) as started:
        gateway = started.gateway
        assert await _statuses(gateway, 1) == [200]
        origin = gateway.url.removesuffix("/api")
        for base in (origin, gateway.url):
            url = f"{base}/api/oauth/usage"
            async with gateway.session.get(url, headers={"authorization": f"Bearer {KEY}"}) as told:
                usage = await told.json()
            assert usage["extra_usage"]["monthly_limit"] == 1
            assert 0 < usage["extra_usage"]["used_credits"] < 1
            (limit,) = usage["limits"]
            assert (limit["kind"], limit["group"], limit["is_active"]) == ("spend", "daily", True)
        async with gateway.session.get(f"{origin}/api/oauth/usage") as refused:
            assert refused.status == 401
