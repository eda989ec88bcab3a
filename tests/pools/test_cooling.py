"""How long an upstream of a pool is passed over for what it has answered, and whom that concerns."""

import asyncio
import logging
import time

import pytest

from tests.support.gateways import BODY
from tests.support.pools import (
    Pooled,
    costly,
    error,
    good,
    one_after_the_other,
    pooled,
)
from tests.support.raw import UpstreamSide, answer
from tests.support.scripts import says, then_waits


async def test_a_429_cools_its_model_for_as_long_as_it_says_and_no_other() -> None:
    other = BODY.replace(b"sonnet-4.6", b"opus-5")
    limited = error(b"429 Too Many", b"retry-after: 30")
    shorter = error(b"429 Too Many", b"retry-after: 10")
    async with pooled(one_after_the_other(limited, shorter, good), good) as pool:
        health = pool.gateway.gateway.standing.health
        await pool.ask(BODY)
        until = health.ready_at("a", "claude-sonnet-4-6")
        for _ in range(2):
            assert (await pool.ask(BODY))[0] == 200
        assert pool.asked() == {"a": 1, "b": 3}
        await pool.ask(other)  # declined for 10 s
        await pool.ask(other.replace(b"opus-5", b"haiku-5"))
        assert pool.asked() == {"a": 3, "b": 4}
        assert health.ready_at("a", "claude-sonnet-4-6") == until


async def test_one_500_cools_nothing_and_three_in_a_row_do() -> None:
    async with pooled(error(b"500 Internal"), good) as pool:
        for _ in range(5):
            assert (await pool.ask(BODY))[0] == 200
        assert pool.asked() == {"a": 3, "b": 5}


async def test_who_has_answered_in_between_begins_anew() -> None:
    bad = error(b"500 Internal")
    async with pooled(one_after_the_other(bad, bad, good, bad, bad, good), good) as pool:
        for _ in range(7):
            assert (await pool.ask(BODY))[0] == 200
        assert pool.asked() == {"a": 7, "b": 4}


async def test_when_all_cool_the_request_is_still_sent_and_answered_as_it_comes() -> None:
    limited = error(b"429 Too Many", b"retry-after: 30", text=b"of a")
    longer = error(b"429 Too Many", b"retry-after: 60", text=b"of b")
    async with pooled(limited, longer) as pool:
        for count in range(1, 4):
            status, body = await pool.ask(BODY)
            assert (status, b"of a" in body) == (429, True)
            assert pool.asked() == {"a": count, "b": 1}


@pytest.mark.parametrize(
    ("body", "prefer", "asked"),
    [
        pytest.param(costly(BODY), "cache", {"a": 1, "b": 0}, id="a warm cache waits"),
        pytest.param(BODY, "cache", {"a": 1, "b": 1}, id="a short prompt moves"),
        pytest.param(costly(BODY), "speed", {"a": 1, "b": 1}, id="told to, it moves"),
    ],
)
async def test_a_short_wait_is_cheaper_than_a_cold_cache(
    body: bytes, prefer: str, asked: dict[str, int]
) -> None:
    limited = error(b"429 Too Many", b"retry-after: 2")
    async with pooled(limited, good, pool={"prefer": prefer}) as pool:
        status, _ = await pool.ask(body)
        assert pool.asked() == asked
        assert status == (429 if asked["b"] == 0 else 200)
        # Home is ready within seconds: it is asked again, too.
        await pool.ask(body)
        assert pool.asked()["a"] == (2 if asked["b"] == 0 else 1)


async def test_a_warm_cache_moves_once_its_home_cools() -> None:
    async with pooled(error(b"529 Overloaded"), good) as pool:
        seen = [(await pool.ask(costly(BODY)))[0] for _ in range(3)]
        assert seen == [529, 529, 200]


def _as_if_cooled(pool: Pooled) -> None:
    """Let the time that the upstreams have asked for be over."""
    now = time.monotonic()
    for _, condition in pool.gateway.gateway.standing.health.cooling(now):
        condition.until = now


async def test_a_session_comes_home_by_itself() -> None:
    limited = error(b"429 Too Many", b"retry-after: 0.2")
    async with pooled(one_after_the_other(limited, good), good) as pool:
        await pool.ask(BODY)
        assert pool.last["upstream"] == "b"
        await asyncio.sleep(0.21)  # what the upstream asked for
        await pool.ask(BODY)
        assert (pool.last["upstream"], "away" in pool.last) == ("a", False)


async def test_a_client_that_leaves_or_stalls_changes_nothing() -> None:
    async with pooled(then_waits(), good) as pool:
        for _ in range(4):
            pool.upstreams["a"].arrived.clear()
            asking = asyncio.create_task(pool.ask(BODY))
            await pool.upstreams["a"].arrived.wait()
            asking.cancel()
            await asyncio.wait([asking])
            await pool.upstreams["a"].all_closed.wait()
        assert pool.gateway.gateway.standing.health.ready_at("a", "claude-sonnet-4-6") == 0
        assert pool.asked() == {"a": 4, "b": 0}


async def test_counting_tokens_cools_nothing() -> None:
    async def script(upstream: UpstreamSide) -> None:
        failing = error(b"529 Overloaded") if b"count_tokens" in upstream.head else good
        await failing(upstream)

    async with pooled(script, says(answer(b'{"input_tokens":1}'))) as pool:
        for _ in range(8):
            assert (await pool.ask(BODY, path="/v1/messages/count_tokens"))[0] == 200
        await pool.ask(BODY)
        assert pool.last["upstream"] == "a"


async def test_an_upstream_that_cools_is_told_once_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "proxy.upstreams.marks")
    limited = error(b"429 Too Many", b"retry-after: 60")
    async with pooled(one_after_the_other(limited, limited, good), good) as pool:
        for _ in range(2):
            await pool.ask(BODY)
        for _ in range(2):
            _as_if_cooled(pool)
            for _ in range(2):
                await pool.ask(BODY)
        assert pool.asked() == {"a": 4, "b": 4}
    cools = (
        "upstream a cools 60 s for 'claude-sonnet-4-6': 429: its limit is reached: "
        "a higher limit or one more account would help"
    )
    assert [each.getMessage() for each in caplog.records] == [cools, cools, "upstream a is back"]
