"""What is held against an upstream, and for how long: failures of its own, each once, and nothing that clients do."""

import asyncio
import time

import pytest

from proxy import Timeouts
from proxy.upstreams.health import _FIRST_COOLING_S
from tests.support.client import connected, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.pools import CONTENT, START, Pooled, error, good, pooled
from tests.support.raw import SSE_HEAD, UpstreamSide, answer, chunk

EMPTY = b"Your credit balance is too low to access the Anthropic API."
OTHER = BODY.replace(b"sonnet-4.6", b"opus-5")
NATIVE = "claude-sonnet-4-6"
LONGEST_S = 300.0


def is_well(pool: Pooled) -> bool:
    """Return whether nothing at all is held against any upstream."""
    return pool.gateway.gateway.standing.health.is_well


async def test_thirty_that_fail_at_once_are_one_cooldown_of_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _FIRST_COOLING_S == 5
    # A hundred times as long, so that it lasts for as long as all of them take.
    monkeypatch.setattr("proxy.upstreams.health._FIRST_COOLING_S", 500.0)
    monkeypatch.setattr("proxy.upstreams.health._LONGEST_COOLING_S", 6000.0)
    together = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        if len(pool.upstreams["a"].requests) == 30:
            together.set()
        await together.wait()
        await error(b"500 Internal")(upstream)

    async with pooled(script, good) as pool:
        began_s = time.monotonic()
        seen = await asyncio.gather(*(pool.ask(BODY) for _ in range(30)))
        until = pool.gateway.gateway.standing.health.ready_at("a", NATIVE)
        assert began_s + 450 <= until <= time.monotonic() + 550
        assert {status for status, _ in seen} <= {200, 500}
        assert [status for status, _ in seen].count(200) >= 10, "its budget allows so many at once"
        assert pool.asked()["a"] == 30
        assert (await pool.ask(BODY))[0] == 200
        assert pool.asked()["a"] == 30


async def test_a_shorter_429_that_comes_later_does_not_shorten_what_cools() -> None:
    """Both were asked before either was answered."""
    may_answer = [asyncio.Event(), asyncio.Event()]

    async def script(upstream: UpstreamSide) -> None:
        number = len(pool.upstreams["a"].requests) - 1
        both.release()
        await may_answer[number].wait()
        await error(b"429 Too Many", b"retry-after: %d" % (30, 2)[number])(upstream)

    both = asyncio.Semaphore(0)
    async with pooled(script, good) as pool:
        health = pool.gateway.gateway.standing.health
        asking = []
        for _ in may_answer:
            asking.append(asyncio.create_task(pool.ask(BODY)))
            await both.acquire()
        untils = []
        for each, task in zip(may_answer, asking, strict=True):
            each.set()
            assert (await task)[0] == 200
            untils.append(health.ready_at("a", NATIVE))
        assert untils[0] == untils[1]
        assert 25 < untils[0] - time.monotonic() <= 30
        assert pool.asked() == {"a": 2, "b": 2}


async def test_an_empty_account_cools_for_all_its_models_and_other_400s_for_none() -> None:
    empty = error(b"400 Bad Request", kind=b"invalid_request_error", text=EMPTY)
    async with pooled(empty, good) as pool:
        for body in (BODY, BODY, OTHER):
            assert (await pool.ask(body))[0] == 200
        assert pool.asked() == {"a": 1, "b": 3}
    quoted = error(b"400 Bad Request", kind=b"invalid_request_error", text=b"messages.0: " + EMPTY)
    async with pooled(quoted, good) as pool:
        for count in range(1, 5):
            assert (await pool.ask(BODY))[0] == 400
            assert pool.asked() == {"a": count, "b": 0}
        assert is_well(pool)


async def test_a_client_that_reads_nothing_is_held_against_nobody() -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(START) + chunk(CONTENT))
        while True:
            await upstream.send(chunk(b": %b\n\n" % (b"x" * 60_000)))

    async with (
        pooled(script, good, timeouts=Timeouts(idle_s=0.3)) as pool,
        connected(pool.gateway.host, pool.gateway.port) as client,
    ):
        client.writer.write(request(body=STREAM_BODY))
        async with asyncio.timeout(10):
            await pool.upstreams["a"].arrived.wait()
            await pool.upstreams["a"].all_closed.wait()
            await pool.gateway.log.until()
        assert pool.last["cause"] == "client_stalled"
        assert is_well(pool)
        assert pool.asked() == {"a": 1, "b": 0}


async def test_a_hundred_refused_counts_of_tokens_leave_every_message_at_home() -> None:
    async def script(upstream: UpstreamSide) -> None:
        failing = error(b"529 Overloaded") if b"count_tokens" in upstream.head else good
        await failing(upstream)

    async with pooled(script, script) as pool:
        for _ in range(100):
            assert (await pool.ask(BODY, path="/v1/messages/count_tokens"))[0] == 529
        assert is_well(pool)
        await pool.ask(BODY)
        assert (pool.last["upstream"], "away" in pool.last) == ("a", False)


@pytest.mark.parametrize(
    "value",
    ["-1", "1e9", "999999999", "nan", "inf", "9" * 7_000, "Mon, 21 Sep 2426 14:13:20 GMT"],
    ids=["negative", "exponent", "30 years", "nan", "inf", "7 kB of digits", "in 400 years"],
)
async def test_however_long_an_upstream_says_it_cools_five_minutes_at_most(value: str) -> None:
    """A `retry-after` that is none counts as absent; and whatever it is, the request is answered by the next."""
    limited = error(b"429 Too Many", b"retry-after: " + value.encode())
    async with pooled(limited, good) as pool:
        for _ in range(2):
            assert (await pool.ask(BODY))[0] == 200
        until = pool.gateway.gateway.standing.health.ready_at("a", NATIVE)
        assert 0 < until - time.monotonic() <= LONGEST_S
        assert pool.asked() == {"a": 1, "b": 2}


async def test_a_head_that_is_too_long_to_be_one_is_held_against_its_upstream_and_not_moved() -> (
    None
):
    too_long = error(b"429 Too Many", b"retry-after: " + b"9" * 100_000)
    async with pooled(too_long, good) as pool:
        assert (await pool.ask(BODY))[0] == 502
        assert not is_well(pool)
        assert pool.asked() == {"a": 1, "b": 0}


async def test_a_whole_success_that_is_an_error_is_passed_on_and_three_of_overload_cool() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(answer(body))

    async with pooled(script, good) as pool:
        assert [await pool.ask(BODY) for _ in range(3)] == [(200, body)] * 3
        assert (pool.last["cause"], pool.last["error_type"]) == (
            "upstream_error",
            "overloaded_error",
        )
        assert pool.asked() == {"a": 3, "b": 0}, "what may have been served is asked once"
        assert (await pool.ask(BODY))[0] == 200
        assert pool.asked() == {"a": 3, "b": 1}
