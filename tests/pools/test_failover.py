"""A request that one upstream of a pool declines is answered by the next; what may have been served never is."""

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
    cut,
    error,
    good,
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
    assert pool.last["usage"]["output_tokens"] == 7
