"""With `early_head`, a client that asked for a stream hears from the gateway before the upstream has said anything."""

import asyncio
import gc
import gzip
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

import proxy
from proxy import Timeouts
from proxy.app import assemble
from proxy.exchange import Phase
from proxy.server.connection import Connection
from proxy.server.serve import listening
from tests.relay.settled import settled, waits_in
from tests.support.client import Response, ask, connected, parse, received, request
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for
from tests.support.raw import (
    EVENTS,
    MESSAGE,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
from tests.support.scripts import gateway_before, says, then_closes, then_waits
from tests.support.sockets import narrow

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
QUICK = Timeouts(ping_after_s=0.05)
ECHOED = STREAM.replace(b"claude-sonnet-4-6", b"anthropic/claude-sonnet-4.6")
OWN = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_up"}'
INDENTED = json.dumps(json.loads(OWN), indent=2).encode().replace(b"\n", b"\r\n")

Step = Callable[[UpstreamSide], Awaitable[None]]


async def after_pings(
    step: Step,
    *,
    pings: int = 2,
    timeouts: Timeouts = QUICK,
    body: bytes = STREAM_BODY,
    version: bytes = b"1.1",
) -> tuple[Response, Running]:
    """Ask for a stream; let the upstream take its step once the client has seen pings."""
    seen_enough = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await seen_enough.wait()
        await step(upstream)

    async with (
        gateway_before(script, early_head=True, timeouts=timeouts) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        before = len(asyncio.all_tasks())
        await client.send(
            request(body=body, version=version, headers={"connection": "close"}),
        )
        seen = b""
        for _ in range(pings):
            seen += await client.until(PING)
        seen_enough.set()
        async with asyncio.timeout(10):
            rest, reset = await received(client.reader)
        response = parse(seen + rest, reset=reset)
        upstream.requests[0].writer.close()
        await settled(gateway, upstream, before)
    assert response is not None
    return response, gateway


def the_error(response: Response) -> dict[str, object]:
    """Return the error that a stream consists of, besides pings."""
    events = response.body.replace(PING, b"")
    assert events.startswith(b"event: error\n"), events
    assert events.endswith(b"\n\n")
    assert events.count(b"event: ") == 1
    lines = [line for line in events.split(b"\n") if line.startswith(b"data: ")]
    error: dict[str, object] = json.loads(b"\n".join(line[6:] for line in lines))
    assert response.ending == "error event"
    return error


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
    timeouts = Timeouts(ping_after_s=0.05, first_byte_s=0.4)
    response, gateway = await after_pings(then_waits(), timeouts=timeouts)
    error = the_error(response)["error"]
    assert error == {
        "type": "timeout_error",
        "message": "the upstream did not answer within 0.4 s",
    }
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "upstream_timeout")
    assert line["first_byte_ms"] < 400 <= line["total_ms"]


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


async def test_a_client_that_leaves_while_it_waits_closes_the_upstreams_call() -> None:
    left = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await upstream.until_closed()
        left.set()

    async with gateway_before(script, early_head=True, timeouts=QUICK) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=STREAM_BODY))
            await client.until(PING)
            client.leave()
        async with asyncio.timeout(5):
            await left.wait()
        await settled(gateway, upstream, before)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "client_closed")


async def test_a_client_that_reads_nothing_is_sent_no_more_than_its_connection_takes() -> None:
    async with (
        gateway_before(then_waits(), early_head=True) as (upstream, gateway),
        connected(gateway.host, gateway.port, 1 << 12) as client,
    ):
        before = len(asyncio.all_tasks())
        await client.send(request(body=STREAM_BODY))
        await waits_in(gateway.gateway, Phase.RESPONSE_HEAD)
        (exchange,) = gateway.gateway.deadlines.in_flight
        (transport,) = (
            each.transport
            for each in gc.get_objects()
            if type(each) is Connection and each.transport is not None
        )
        narrow(transport)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined] # nothing else stops it

        async def quiet() -> None:
            assert exchange.on_quiet is not None
            exchange.on_quiet()
            await asyncio.sleep(0)

        while not transport.get_write_buffer_size():
            await quiet()
        sent = exchange.bytes_out
        for _ in range(100):
            await quiet()
        assert exchange.bytes_out <= sent + len(PING)
        client.leave()
        await settled(gateway, upstream, before)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "client_closed")


async def test_a_head_that_does_not_leave_is_bounded_as_a_client_that_reads_nothing() -> None:
    """An application that holds the gateway may wait before each head, for as long as it likes."""
    asked, lines = asyncio.Event(), list[bytes]()

    async def wait_for_ever(_request: web.Request, _response: web.StreamResponse) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def script(upstream: UpstreamSide) -> None:
        await asked.wait()
        await upstream.send(SSE_HEAD)

    async with raw_upstream(script) as upstream:
        timeouts = Timeouts(ping_after_s=0.05, idle_s=0.3)
        config = config_for(upstream.url, early_head=True, timeouts=timeouts)
        app = assemble(config, lines.append)
        app.on_response_prepare.append(wait_for_ever)
        async with listening(app, config) as ((host, port),), connected(host, port) as client:
            await client.send(request(body=STREAM_BODY))
            assert await client.until_closed() == b""
            async with asyncio.timeout(5):
                await upstream.all_closed.wait()
    assert [json.loads(line)["cause"] for line in lines] == ["client_stalled"]


async def test_pages_of_allowed_origins_may_read_it() -> None:
    cors = proxy.Cors(("https://app.example",))
    async with (
        gateway_before(then_waits(), early_head=True, timeouts=QUICK, cors=cors) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(b"Origin: https://app.example", body=STREAM_BODY))
        seen = await client.until(PING)
    assert b"Access-Control-Allow-Origin: https://app.example\r\n" in seen


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
