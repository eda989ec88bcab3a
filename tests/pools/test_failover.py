"""A request that one upstream of a pool declines is answered by the next; what may have been served never is."""

import asyncio
import logging
import socket
import time

import msgspec
import pytest

from proxy import Member, Timeouts, Tls
from tests.support.certificates import CA, server_context
from tests.support.gateways import BODY, MODEL, STREAM_BODY, UPSTREAM_KEY, config_for, running
from tests.support.pools import (
    config_of,
    costly,
    cut,
    error,
    good,
    one_after_the_other,
    pooled,
)
from tests.support.raw import MESSAGE, STREAM, UpstreamSide, answer, raw_upstream
from tests.support.scripts import says, then_waits

EMPTY = b"Your credit balance is too low to access the Anthropic API."
DECLINED = {
    "401": error(b"401 Unauthorized", kind=b"authentication_error"),
    "402": error(b"402 Payment Required", kind=b"billing_error"),
    "403": error(b"403 Forbidden", kind=b"permission_error"),
    "404": error(b"404 Not Found", kind=b"not_found_error"),
    "429": error(b"429 Too Many", b"retry-after: 30", kind=b"rate_limit_error"),
    "429 without a time": error(b"429 Too Many", kind=b"rate_limit_error"),
    "429 from Azure": error(b"429 Too Many", b"retry-after-ms: 1500"),
    "500": error(b"500 Internal"),
    "503": error(b"503 Unavailable"),
    "529": error(b"529 Overloaded", kind=b"overloaded_error"),
    "an empty account": error(b"400 Bad Request", kind=b"invalid_request_error", text=EMPTY),
    "a refusal that breaks off": says(
        b"HTTP/1.1 529 X\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{"
    ),
}


@pytest.mark.parametrize("declined", DECLINED.values(), ids=DECLINED)
async def test_the_first_request_that_is_declined_is_answered_by_the_second(
    declined: object,
) -> None:
    async def script(upstream: UpstreamSide) -> None:
        await declined(upstream)  # type: ignore[operator] # a script
        upstream.writer.close()

    async with pooled(script, good) as pool:
        assert await pool.ask(BODY) == (200, MESSAGE.replace(b"claude-sonnet-4-6", MODEL.encode()))
        assert pool.asked() == {"a": 1, "b": 1}
    line = pool.last
    assert (line["status"], line["upstream"], line["pool"], line["away"]) == (
        200,
        "b",
        "pool",
        True,
    )
    assert [each["upstream"] for each in line["attempts"]] == ["a", "b"]
    assert "cause" not in line


async def test_an_upstream_that_cannot_be_reached_is_passed_over() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        async with (
            raw_upstream(good) as second,
            running(config_of({"a": url, "b": second.url})) as gateway,
            gateway.post() as response,
        ):
            assert response.status == 200
    (first, last) = gateway.log[0]["attempts"]
    assert (first["cause"], "status" in first) == ("upstream_unreachable", False)
    assert last["status"] == 200


async def test_an_upstream_whose_certificate_nobody_trusts_is_passed_over() -> None:
    tls = {"tls": Tls(ca=str(CA.parent / "stranger.pem"))}
    async with (
        raw_upstream(good, server_context(), "localhost") as first,
        raw_upstream(good) as second,
        running(config_of({"a": first.url, "b": second.url}, upstreams={"a": tls})) as gateway,
        gateway.post() as response,
    ):
        assert response.status == 200
        assert (len(first.requests), len(second.requests)) == (0, 1)
    (refused, last) = gateway.log[0]["attempts"]
    assert (refused["cause"], last["status"]) == ("upstream_unreachable", 200)


FINAL = {
    "a cut": (cut, 502),
    "502": (error(b"502 Bad Gateway"), 502),
    "504": (error(b"504 Gateway Timeout"), 504),
    "520": (error(b"520 Odd"), 520),
    "408": (error(b"408 Timeout"), 408),
    "a redirect": (says(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"), 502),
    "no HTTP": (says(b"SSH-2.0\r\n\r\n"), 502),
    "a page": (says(answer(b"<html>")), 502),
    "half a message": (says(answer()[:-1]), 502),
    "400": (error(b"400 Bad Request", kind=b"invalid_request_error", text=b"x: " + EMPTY), 400),
    "413": (error(b"413 Too Large"), 413),
    "422": (error(b"422 Odd"), 422),
}


@pytest.mark.parametrize(("final", "status"), FINAL.values(), ids=FINAL)
async def test_what_may_have_been_served_or_is_the_clients_fault_is_asked_once(
    final: object, status: int
) -> None:
    async def script(upstream: UpstreamSide) -> None:
        await final(upstream)  # type: ignore[operator] # a script
        upstream.writer.close()

    async with pooled(script, good) as pool:
        assert (await pool.ask(BODY))[0] == status
        assert pool.asked() == {"a": 1, "b": 0}
    assert "attempts" not in pool.last
    assert "away" not in pool.last


async def test_silence_is_asked_once() -> None:
    async with pooled(then_waits(), good, timeouts=Timeouts(first_byte_s=0.1)) as pool:
        assert (await pool.ask(BODY))[0] == 504
        assert pool.asked() == {"a": 1, "b": 0}


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


async def test_the_client_is_told_the_kindest_refusal_as_it_came() -> None:
    overloaded = error(b"529 Overloaded", b"request-id: req_a", text=b"of a")
    async with (
        pooled(overloaded, error(b"404 Not Found")) as pool,
        pool.gateway.post() as response,
    ):
        assert (response.status, response.headers["request-id"]) == (529, "req_a")
        assert await response.read() == (
            b'{"type":"error","error":{"type":"api_error","message":"of a"}}'
        )
    assert (pool.last["upstream"], pool.last["status"]) == ("a", 529)
    assert "away" not in pool.last
    assert [each["status"] for each in pool.last["attempts"]] == [529, 404]
    assert [each.get("request_id") for each in pool.last["attempts"]] == ["req_a", None]


async def test_a_dead_key_everywhere_is_the_502_of_one() -> None:
    refused = error(b"401 Unauthorized")
    async with pooled(refused, refused) as pool:
        status, body = await pool.ask(BODY)
    assert (status, msgspec.json.decode(body)["error"]["type"]) == (502, "api_error")
    assert pool.last["cause"] == "upstream_auth"
    assert pool.asked() == {"a": 1, "b": 1}


async def test_a_404_is_not_asked_again_of_the_same_server() -> None:
    async with raw_upstream(error(b"404 Not Found")) as upstream:
        config = config_of({"a": upstream.url, "b": upstream.url})
        async with running(config) as gateway, gateway.post() as response:
            assert response.status == 404
        assert len(upstream.requests) == 1


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


async def test_a_member_that_counts_answers_for_one_that_does_not() -> None:
    counts = says(answer(b'{"input_tokens":1}'))
    path = "/v1/messages/count_tokens"
    async with pooled(good, counts, upstreams={"a": {"counts_tokens": False}}) as pool:
        assert (await pool.ask(BODY, path=path))[0] == 200
        assert pool.asked() == {"a": 0, "b": 1}
    async with pooled(
        good, good, upstreams={name: {"counts_tokens": False} for name in "ab"}
    ) as pool:
        assert (await pool.ask(BODY, path=path))[0] == 404
        assert pool.asked() == {"a": 0, "b": 0}


async def test_each_attempt_has_its_own_id_credential_betas_and_body() -> None:
    members = (Member("a"), Member("b", priority=2), Member("c", priority=3))
    ids = {"a": (("claude-*", "eu.anthropic.claude-*"),), "b": (("claude-sonnet-4-6", "sonnet"),)}
    fields = {
        name: {"model_ids": ids.get(name, ()), "betas": (f"beta-of-{name}-2026-01-01",)}
        for name in "abc"
    }
    overloaded = error(b"529 Overloaded")
    async with pooled(overloaded, overloaded, good, members=members, upstreams=fields) as pool:
        assert (await pool.ask(BODY))[0] == 200
        seen = {name: each.requests[0] for name, each in pool.upstreams.items()}
    names = {"a": "eu.anthropic.claude-sonnet-4-6", "b": "sonnet", "c": "claude-sonnet-4-6"}
    for name, side in seen.items():
        assert side.body == BODY.replace(MODEL.encode(), names[name].encode())
        assert f"x-api-key: sk-{name}-0123456789".encode() in side.head.lower()
        assert side.head.lower().count(b"x-api-key") == 1
        assert b"\r\nanthropic-beta: beta-of-%b-2026-01-01\r\n" % name.encode() in side.head.lower()
        assert side.head.lower().count(b"anthropic-beta") == 1
    assert (pool.last["upstream"], pool.last["upstream_model"]) == ("c", "claude-sonnet-4-6")


async def test_the_second_gets_what_it_would_get_as_the_only_one() -> None:
    async with pooled(error(b"529 Overloaded"), good) as pool:
        await pool.ask(STREAM_BODY, headers={"x-trace": "1"})
        second = pool.upstreams["b"].requests[0]
    async with raw_upstream(good) as alone:
        config = config_for(alone.url)
        async with running(config) as gateway, gateway.post(STREAM_BODY, headers={"x-trace": "1"}):
            only = alone.requests[0]
    assert second.body == only.body
    here = second.head.replace(b"sk-b-0123456789", UPSTREAM_KEY.encode())
    assert _without_host(here) == _without_host(only.head)


def _without_host(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Host: ")]


async def test_not_more_than_attempts_are_asked() -> None:
    members = tuple(Member(name, priority=i + 1) for i, name in enumerate("abc"))
    overloaded = error(b"529 Overloaded")
    async with pooled(overloaded, overloaded, good, members=members, pool={"attempts": 2}) as pool:
        assert (await pool.ask(BODY))[0] == 529
        assert pool.asked() == {"a": 1, "b": 1, "c": 0}


async def test_in_an_outage_of_everything_few_are_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "proxy.upstreams.attempts")
    overloaded, began_s = error(b"503 Unavailable"), time.monotonic()
    async with pooled(overloaded, overloaded) as pool:
        standing = pool.gateway.gateway.standing
        for count in range(1, 31):
            standing.health.forget("a")
            standing.health.forget("b")
            assert (await pool.ask(BODY))[0] == 503
            # And one a second, on a slow machine.
            assert sum(pool.asked().values()) <= count * 1.2 + 10 + (time.monotonic() - began_s)
    told = [each.getMessage() for each in caplog.records]
    assert len([each for each in told if "retry budget is empty" in each]) == 1


async def test_a_request_is_one_line_with_the_passed_answers_usage() -> None:
    async with pooled(error(b"529 Overloaded"), good) as pool:
        status, body = await pool.ask(STREAM_BODY)
    assert (status, body) == (200, STREAM.replace(b"claude-sonnet-4-6", MODEL.encode()))
    assert len(pool.gateway.log) == 1
    assert pool.last["usage"] == {*()} or pool.last["usage"]["output_tokens"] == 7


async def test_an_upstream_that_cools_is_told_once_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "proxy.upstreams.marks")
    limited = error(b"429 Too Many", b"retry-after: 0.1")
    async with pooled(one_after_the_other(limited, limited, good), good) as pool:
        for _ in range(2):
            await pool.ask(BODY)
        await asyncio.sleep(0.11)  # what the upstream asked for
        for _ in range(2):
            await pool.ask(BODY)
        await asyncio.sleep(0.11)  # once more
        for _ in range(2):
            await pool.ask(BODY)
    cools = (
        "upstream a cools 0.1 s for 'claude-sonnet-4-6': 429: its limit is reached: "
        "a higher limit or one more account would help"
    )
    assert [each.getMessage() for each in caplog.records] == [cools, cools, "upstream a is back"]
