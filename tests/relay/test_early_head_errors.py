"""With `early_head`, what fails behind the head is an error event in the stream."""

import asyncio
import gzip
import json

import pytest

from proxy import Timeouts
from proxy.exchange import Exchange
from tests.relay.early import INDENTED, OWN, PING, QUICK, Step, after_pings, the_error
from tests.relay.settled import settled
from tests.support.client import connected, parse, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import (
    EVENTS,
    MESSAGE,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
)
from tests.support.scripts import gateway_before, says, then_closes, then_waits


@pytest.mark.parametrize("body", [OWN, INDENTED], ids=["one line", "several lines"])
@pytest.mark.parametrize("status", [b"400 Bad Request", b"429 Too Many Requests", b"529 Busy"])
async def test_the_upstreams_own_error_becomes_an_event_as_it_is(
    status: bytes, body: bytes
) -> None:
    response, gateway = await after_pings(says(answer(body, status, b"request-id: req_up")))
    assert the_error(response) == json.loads(OWN)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "upstream_error")
    assert line["bytes_out"] == len(response.body)
    assert line["upstream_request_id"] == "req_up"


NO_ERRORS = {
    "html": b"<html>busy</html>",
    "empty": b"",
    "another api's": b'{"error":{"message":"busy","code":503}}',
    "no object": b'["error"]',
    "a text": b'{"type":"error","error":"busy"}',
    "utf-16": OWN.decode().encode("utf-16"),
    "compressed": gzip.compress(OWN),
    "too long for an event": OWN[:-1] + b" " * (1 << 20) + b"}",
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NO_ERRORS.values(), ids=NO_ERRORS)
async def test_an_error_that_is_not_the_apis_becomes_one_of_ours_that_names_the_status(
    body: bytes,
) -> None:
    response, gateway = await after_pings(says(answer(body, b"503 Service Unavailable")))
    (line,) = gateway.log
    assert the_error(response) == {
        "type": "error",
        "error": {"type": "api_error", "message": "the upstream answered with HTTP 503"},
        "request_id": line["request_id"],
    }
    assert (line["status"], line["cause"]) == (200, "upstream_error")


FAILURES: dict[str, tuple[Step, str, str]] = {
    "closes": (then_closes(), "api_error", "upstream_cut"),
    "no http": (then_closes(b"nonsense\r\n\r\n"), "api_error", "upstream_garbage"),
    "refuses our key": (says(answer(OWN, b"401 Unauthorized")), "api_error", "upstream_auth"),
    "redirects": (says(answer(b"", b"302 Found")), "api_error", "upstream_redirect"),
    "cuts an error": (
        then_closes(answer(OWN, b"500 Oh")[:-5]),
        "api_error",
        "upstream_cut",
    ),
    "a success that is no stream nor json": (
        says(answer(b"welcome")),
        "api_error",
        "upstream_garbage",
    ),
    "a compressed stream": (
        says(SSE_HEAD[:-2] + b"content-encoding: gzip\r\n\r\n", chunk(gzip.compress(STREAM))),
        "api_error",
        "upstream_garbage",
    ),
    "a stream that ends early": (
        says(SSE_HEAD, chunk(EVENTS[0]), chunk(b"")),
        "api_error",
        "upstream_cut",
    ),
}


@pytest.mark.parametrize(("step", "kind", "cause"), FAILURES.values(), ids=FAILURES)
async def test_whatever_fails_is_one_error_event_and_a_clean_end(
    step: Step, kind: str, cause: str
) -> None:
    response, gateway = await after_pings(step)
    body = response.body.replace(PING, b"")
    error = json.loads(body.rpartition(b"event: error\ndata: ")[2])
    (line,) = gateway.log
    assert response.ending == "error event"
    assert (response.status, error["error"]["type"]) == (200, kind)
    assert error["request_id"] == line["request_id"]
    assert (line["status"], line["cause"]) == (200, cause)
    assert line["bytes_out"] == len(response.body)


async def test_a_whole_message_where_a_stream_was_asked_for_is_an_error_that_says_so() -> None:
    response, gateway = await after_pings(says(answer(MESSAGE)))
    error = the_error(response)["error"]
    assert error == {
        "type": "api_error",
        "message": "the upstream answered with a whole message, where a stream was asked for",
    }
    (line,) = gateway.log
    assert line["cause"] == "upstream_garbage"
    # It was served, and is billed.
    assert line["usage"]["output_tokens"] == 7


async def test_an_upstream_that_never_answers_is_a_timeout_in_the_stream() -> None:
    def was_asked_long_ago(exchange: Exchange) -> None:
        exchange.since_s -= Timeouts().first_byte_s

    response, gateway = await after_pings(then_waits(), then=was_asked_long_ago)
    error = the_error(response)["error"]
    assert error == {
        "type": "timeout_error",
        "message": "the upstream did not answer within 600 s",
    }
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "upstream_timeout")
    assert line["first_byte_ms"] < line["total_ms"]


async def test_a_drain_ends_the_wait_as_it_ends_a_stream() -> None:
    async with (
        gateway_before(then_waits(), early_head=True, timeouts=QUICK) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        before = len(asyncio.all_tasks())
        await client.send(request(body=STREAM_BODY, headers={"connection": "close"}))
        seen = await client.until(PING)
        gateway.gateway.deadlines.interrupt_all()
        response = parse(seen + await client.until_closed())
        await settled(gateway, upstream, before)
    assert response is not None
    assert b'"overloaded_error"' in response.body
    the_error(response)
    assert (gateway.log[0]["status"], gateway.log[0]["cause"]) == (200, "draining")


async def test_the_connection_serves_on_behind_an_error_event() -> None:
    async def script(upstream: UpstreamSide) -> None:
        if len(served := seen) == 0:
            served.append(True)
            await go.wait()
            await upstream.send(answer(OWN, b"529 Busy"))
        else:
            await upstream.send(answer())

    seen: list[bool] = []
    go = asyncio.Event()
    async with (
        gateway_before(script, early_head=True, timeouts=QUICK) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(body=STREAM_BODY))
        await client.until(PING)
        go.set()
        await client.until(b"event: error\n")
        await client.until(b"0\r\n\r\n")
        await client.send(request(body=BODY))
        assert (await client.answer()).status == 200
