"""With `early_head`, a client that asked for a stream hears from the gateway before the upstream has said anything."""

import pytest

import proxy
from proxy import Timeouts
from proxy.exchange import Phase
from tests.relay.early import ECHOED, OWN, PING, QUICK, after_pings
from tests.relay.settled import waits_in
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    answer,
    chunk,
)
from tests.support.scripts import gateway_before, says, then_waits


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_pings_go_out_until_the_upstream_answers_and_its_stream_follows(
    version: bytes,
) -> None:
    stream = SSE_HEAD + b"".join(map(chunk, (*EVENTS, b"")))
    response, gateway = await after_pings(says(stream), pings=3, version=version)
    assert (response.status, response.ending) == (200, "message")
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-cache"
    pings = response.body.removesuffix(ECHOED)
    assert pings == PING * (len(pings) // len(PING))
    (line,) = gateway.log
    assert (line["status"], line["stream"], "cause" in line) == (200, True, False)
    assert line["bytes_out"] == len(response.body)
    assert line["usage"]["output_tokens"] == 7
    assert line["first_byte_ms"] < line["total_ms"]


@pytest.mark.parametrize("named", [b"identity", b"Identity,identity", b""], ids=repr)
async def test_a_stream_whose_encoding_is_none_follows_as_any_other(named: bytes) -> None:
    head = SSE_HEAD[:-2] + b"content-encoding: %b\r\n\r\n" % named
    response, gateway = await after_pings(says(head, chunk(STREAM), chunk(b"")))
    assert response.ending == "message"
    assert response.body.endswith(ECHOED)
    assert gateway.log[0]["usage"]["output_tokens"] == 7


async def test_the_line_has_the_id_that_the_client_got_and_the_upstreams() -> None:
    response, gateway = await after_pings(says(SSE_HEAD, chunk(STREAM), chunk(b"")))
    (line,) = gateway.log
    assert response.values("request-id") == [line["request_id"]]
    assert line["request_id"].startswith("req_")
    assert line["upstream_request_id"] == "req_up"


async def test_pages_of_allowed_origins_may_read_it() -> None:
    cors = proxy.Cors(("https://app.example",))
    async with (
        gateway_before(then_waits(), early_head=True, timeouts=QUICK, cors=cors) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(b"Origin: https://app.example", body=STREAM_BODY))
        seen = await client.until(PING)
    assert b"Access-Control-Allow-Origin: https://app.example\r\n" in seen


async def test_an_upstream_that_answers_in_time_keeps_its_head_and_its_status() -> None:
    async with gateway_before(
        says(answer(OWN, b"529 Busy", b"retry-after: 7")), early_head=True
    ) as (
        _,
        gateway,
    ):
        response = await ask(gateway)
    assert (response.status, response.body) == (529, OWN)
    assert response.headers["retry-after"] == "7"
    assert gateway.log[0]["status"] == 529


QUIET = {
    "off": (STREAM_BODY, False, "/v1/messages"),
    "no stream": (BODY, True, "/v1/messages"),
    "a count": (STREAM_BODY, True, "/v1/messages/count_tokens"),
}


@pytest.mark.parametrize(("body", "early_head", "path"), QUIET.values(), ids=QUIET)
async def test_nothing_goes_out_early_unless_it_is_set_and_a_stream_is_asked_for(
    body: bytes,
    early_head: bool,  # noqa: FBT001 - a parameter of the table
    path: str,
) -> None:
    timeouts = Timeouts(ping_after_s=0.02, first_byte_s=0.3)
    async with gateway_before(then_waits(), early_head=early_head, timeouts=timeouts) as (
        _,
        gateway,
    ):
        response = await ask(gateway, request(body=body, path=path.encode()))
    assert (response.status, response.kind) == (504, "timeout_error")


async def test_pings_wait_for_the_silence_of_ping_after_s() -> None:
    async with (
        gateway_before(then_waits(), early_head=True) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(body=STREAM_BODY))
        await waits_in(gateway.gateway, Phase.RESPONSE_HEAD)
        (exchange,) = gateway.gateway.deadlines.in_flight
        gateway.gateway.deadlines._sweep()
        assert exchange.status is None
        exchange.since_s -= Timeouts().ping_after_s
        gateway.gateway.deadlines._sweep()
        await client.until(PING)
        assert exchange.status == 200
