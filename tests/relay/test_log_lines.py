"""The access line of a relayed request says how it went: status, bytes, usage, cause."""

import asyncio
import contextlib

import msgspec
import pytest
from aiohttp import web

from proxy import Log, Timeouts, setup
from proxy.exchange import Exchange, Phase
from proxy.gateway import Gateway
from tests.relay.settled import waits_in
from tests.support.client import ask, connected, request
from tests.support.gateways import HEADERS, MODEL, STREAM_BODY, config_for
from tests.support.raw import (
    EVENTS,
    MESSAGE,
    SSE_HEAD,
    Script,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
from tests.support.scripts import gateway_before, says, then_waits

FAILING = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'
)


def streaming(*events: bytes) -> Script:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + b"".join(map(chunk, (*events, b""))))

    return script


async def test_a_stream_logs_its_final_usage_and_the_bytes_the_client_got() -> None:
    last = EVENTS[5].replace(
        b'"usage":{"output_tokens":7}',
        b'"usage":{"output_tokens":70,"input_tokens":null,"server_tool_use":{"web_search_requests":2}}',
    )
    async with gateway_before(streaming(*EVENTS[:5], EVENTS[5], last, EVENTS[6])) as (_, gateway):
        reply = await ask(
            gateway, request(body=STREAM_BODY, headers={"x-claude-code-session-id": "s-1"})
        )
    (line,) = gateway.log
    assert line["usage"] == {
        "input_tokens": 11,
        "cache_read_input_tokens": 3,
        "output_tokens": 70,
        "server_tool_use": {"web_search_requests": 2},
    }
    assert line["bytes_out"] == len(reply.body)
    assert line["bytes_in"] == len(STREAM_BODY)
    assert (line["status"], line["stream"], line.get("cause")) == (200, True, None)
    assert (line["model"], line["upstream"]) == (MODEL, "first")
    assert (line["upstream_model"], line["session_id"]) == ("claude-sonnet-4-6", "s-1")
    assert (line["request_id"], line["key"]) == ("req_up", "tester")
    assert 0 < line["first_byte_ms"] <= line["total_ms"]


async def test_a_message_logs_its_usage() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        reply = await ask(gateway, request())
    (line,) = gateway.log
    assert line["usage"] == {"input_tokens": 11, "output_tokens": 7}
    assert line["bytes_out"] == len(reply.body) == len(MESSAGE) + len("anthropic/")
    assert "stream" not in line


@pytest.mark.parametrize(
    ("script", "status", "cause"),
    [
        pytest.param(streaming(*EVENTS[:3]), 200, "upstream_cut", id="no message_stop"),
        pytest.param(streaming(*EVENTS[:3], FAILING), 200, "upstream_error", id="error event"),
        pytest.param(streaming(EVENTS[0][:40]), 502, "upstream_cut", id="half of message_start"),
    ],
)
async def test_a_stream_that_fails_logs_why_and_every_byte(
    script: Script, status: int, cause: str
) -> None:
    async with gateway_before(script) as (_, gateway):
        reply = await ask(gateway)
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (status, cause)
    assert line["bytes_out"] == len(reply.body)


def refusal(message: str, kind: str = "invalid_request_error") -> bytes:
    return msgspec.json.encode(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"}
    )


async def test_an_error_of_the_upstream_is_logged_as_its_own() -> None:
    async with gateway_before(says(answer(b"{}", b"529 Overloaded"))) as (_, gateway):
        await ask(gateway, request())
    assert (gateway.log[0]["status"], gateway.log[0]["cause"]) == (529, "upstream_error")
    assert "error_type" not in gateway.log[0]


async def test_why_the_upstream_refuses_is_logged_without_what_it_quotes() -> None:
    said = refusal("thinking.type: Input should be 'adaptive', not 'a prompt'")
    async with gateway_before(says(answer(said, b"400 Bad Request"))) as (_, gateway):
        await ask(gateway, request(headers={"user-agent": "claude-cli/2.1.330 (external, cli)"}))
    (line,) = gateway.log
    assert {name: line[name] for name in ("level", "error_type", "detail")} == {
        "level": "warning",
        "error_type": "invalid_request_error",
        "detail": "thinking.type",
    }
    assert (line["client_product"], line["client_version"]) == ("claude-cli", "2.1.330")
    assert "prompt" not in str(line)


async def test_what_the_upstream_says_is_logged_when_a_setting_asks_for_it() -> None:
    said = refusal("Number of requests has exceeded your limit." + "x" * 300, "rate_limit_error")
    reply = answer(said, b"429 Too Many Requests").replace(b"\r\n", b"\r\nretry-after: 17\r\n", 1)
    log = Log(error_messages=True)
    async with gateway_before(says(reply), log=log) as (_, gateway):
        await ask(gateway, request())
    (line,) = gateway.log
    assert line["detail"].startswith("Number of requests has exceeded your limit.xx")
    assert len(line["detail"]) == 200
    assert (line["error_type"], line["retry_after"]) == ("rate_limit_error", 17)


async def test_the_error_in_a_stream_is_logged() -> None:
    async with gateway_before(streaming(*EVENTS[:3], FAILING)) as (_, gateway):
        await ask(gateway, request(body=STREAM_BODY))
    (line,) = gateway.log
    assert (line["level"], line["status"]) == ("error", 200)
    assert (line["cause"], line["error_type"]) == ("upstream_error", "overloaded_error")


async def test_an_error_that_came_after_an_early_head_is_logged_as_the_upstreams() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await quiet.wait()
        said = refusal("prompt is too long: 1 > 0")
        await exchange.send(answer(said, b"400 Bad Request"))

    quiet = asyncio.Event()
    timeouts = Timeouts(ping_after_s=0.05)
    async with (
        gateway_before(script, early_head=True, timeouts=timeouts) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(body=STREAM_BODY))
        await client.until(b"event: ping")
        quiet.set()
        await client.until(b"event: error")
        await gateway.gateway.deadlines.idle()
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "upstream_error")
    assert line["error_type"] == "invalid_request_error"


def with_id(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\r\nrequest-id: req_up\r\n", 1)


@pytest.mark.parametrize(
    "status",
    [b"401 Unauthorized", b"302 Found", b"205 Reset Content"],
    ids=lambda each: each.decode(),
)
async def test_the_id_of_a_response_that_is_not_passed_on_is_logged(status: bytes) -> None:
    async with gateway_before(says(with_id(answer(b"{}", status)))) as (_, gateway):
        reply = await ask(gateway, request())
    (line,) = gateway.log
    assert line["upstream_request_id"] == "req_up"
    assert line["request_id"] == reply.headers["request-id"]
    assert line["request_id"] != "req_up"


async def test_the_id_that_the_client_got_too_is_logged_once() -> None:
    async with gateway_before(says(with_id(answer()))) as (_, gateway):
        await ask(gateway, request())
    (line,) = gateway.log
    assert line["request_id"] == "req_up"
    assert "upstream_request_id" not in line


async def test_a_client_that_leaves_keeps_the_usage_known_so_far() -> None:
    async with gateway_before(then_waits(SSE_HEAD + chunk(EVENTS[0]))) as (upstream, gateway):
        async with connected(gateway.host, gateway.port) as (reader, writer):
            writer.write(request(body=STREAM_BODY))
            await reader.readuntil(b"message_start")
        await upstream.all_closed.wait()
        await gateway.log.until()
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (200, "client_closed")
    assert line["usage"]["input_tokens"] == 11


async def test_a_host_that_does_not_cancel_handlers_blames_the_client_all_the_same() -> None:
    """As a plugin the gateway may be run without `RUNNER_OPTIONS`: a client's reset is then seen while writing."""
    ended = asyncio.Event()
    seen: list[bytes] = []

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        while not exchange.writer.is_closing():
            await exchange.send(chunk(EVENTS[3] * 100))

    def log(line: bytes) -> None:
        seen.append(line)
        ended.set()

    async with raw_upstream(script) as upstream:
        app = web.Application()
        gateway: Gateway = setup(app, config_for(upstream.url), access_log=log)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request(body=STREAM_BODY, path=b"/api/v1/messages", headers=dict(HEADERS)))
        await reader.readuntil(b"message_start")
        (exchange,) = gateway.deadlines.in_flight
        assert isinstance(exchange, Exchange)
        await waits_in(gateway, Phase.CLIENT)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 5)
        await runner.cleanup()
    assert b'"cause":"client_closed"' in seen[0]
