"""A request that was moved is one row, admitted and settled once, with the usage of the answer that was passed on."""

from proxy import RateLimits
from proxy.pooled import Attempt
from tests.support.gateways import BODY
from tests.support.pools import config_of, error, good
from tests.support.raw import raw_upstream
from tests.tenancy.conftest import Start


async def test_a_moved_request_is_one_row_and_one_admission(tenant: Start) -> None:
    limits = RateLimits(requests_per_minute=2)
    async with raw_upstream(error(b"529 Overloaded")) as first, raw_upstream(good) as second:
        config = config_of({"a": first.url, "b": second.url})
        parts = {"upstreams": config.upstreams, "models": config.models, "pools": config.pools}
        async with tenant(limits=limits, **parts) as started:
            for status in (200, 200, 429):
                async with started.gateway.post(BODY) as response:
                    assert response.status == status
            rows = await started.rows(3)
    assert [(row.upstream, row.away, row.attempts) for row in rows[:2]] == [("b", 1, 2)] * 2
    assert [(row.input_tokens, row.output_tokens) for row in rows[:2]] == [(11, 7)] * 2
    assert (rows[2].away, rows[2].attempts, rows[2].cause) == (0, 0, "limited_requests")
    attempts = [Attempt(**each) for each in started.gateway.log[0]["attempts"]]
    assert [(each.upstream, each.status) for each in attempts] == [("a", 529), ("b", 200)]


async def test_without_a_pool_a_row_tells_whether_it_was_sent(tenant: Start) -> None:
    async with tenant() as started:
        async with started.gateway.post(BODY):
            pass
        (row,) = await started.rows(1)
    assert (row.away, row.attempts) == (0, 1)
