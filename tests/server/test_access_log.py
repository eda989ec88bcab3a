"""One line for every request, however it ended, with nothing secret in it."""

import asyncio
import io
import json
import threading
from typing import Any

import pytest

from proxy import exchange as exchanges
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.sink import BufferedSink
from tests.support.client import connected, request, talk
from tests.support.gateways import BODY, HEADERS, MODEL, STREAM_BODY, Running
from tests.support.raw import SSE_HEAD, STREAM, RawUpstream, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says


async def test_a_message_is_logged_with_every_field(gateway: Running) -> None:
    ids = {"x-claude-code-session-id": "s" * 500, "x-claude-code-agent-id": "agent-1"}
    async with gateway.post(path="/v1/messages?beta=true", headers=ids) as response:
        body = await response.read()
        request_id = response.headers["request-id"]
    (line,) = gateway.log
    assert line.pop("time").endswith("Z")
    assert 0 <= line.pop("first_byte_ms") <= line.pop("total_ms")
    assert line == {
        "request_id": request_id,
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/api/v1/messages",
        "status": 200,
        "bytes_in": len(BODY),
        "bytes_out": len(body),
        "key": "tester",
        "model": MODEL,
        "upstream": "first",
        "upstream_model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 11, "output_tokens": 7},
        "session_id": "s" * 100,
        "agent_id": "agent-1",
    }


async def test_a_stream_is_logged_with_its_final_usage() -> None:
    async with (
        gateway_before(says(SSE_HEAD + chunk(STREAM) + chunk(b""))) as (_, gateway),
        gateway.post(STREAM_BODY) as response,
    ):
        received = await response.read()
    (line,) = gateway.log
    assert line["stream"] is True
    assert (line["status"], line["bytes_out"]) == (200, len(received))
    assert line["request_id"] == "req_up"
    assert (line["usage"]["input_tokens"], line["usage"]["output_tokens"]) == (11, 7)
    assert "cause" not in line


async def test_a_stream_that_fails_before_its_first_byte_is_logged_as_one() -> None:
    async def script(exchange: UpstreamSide) -> None:
        exchange.reset()

    async with (
        gateway_before(script) as (_, gateway),
        gateway.post(STREAM_BODY) as response,
    ):
        assert response.status == 502
    (line,) = gateway.log
    assert (line["stream"], line["status"]) == (True, 502)


async def test_a_client_that_leaves_is_logged() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()

    async with (
        gateway_before(script) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
        asyncio.timeout(5),
    ):
        await client.send(request())
        await upstream.arrived.wait()
        client.leave()
        await gateway.gateway.deadlines.idle()
    (line,) = gateway.log
    assert line["cause"] == "client_closed"
    assert line.get("status") is None


REFUSED = {
    "no key": (request().replace(b"x-api-key", b"x-other"), 401, "unauthenticated"),
    "no such path": (request(path=b"/none?secret=1"), 404, "not_found"),
    "not JSON": (request(body=b"x"), 400, "invalid_request"),
    "not HTTP": (b"\x16\x03\x01 tls\r\n\r\n", 400, "invalid_request"),
    "no such model": (request(body=BODY.replace(b"anthropic/", b"x/")), 404, "unknown_model"),
}


@pytest.mark.parametrize(("data", "status", "cause"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_is_one_line_with_its_cause(
    gateway: Running, data: bytes, status: int, cause: str
) -> None:
    await talk(gateway.host, gateway.port, data.replace(b"Host", b"connection: close\r\nHost", 1))
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (status, cause)
    assert line["request_id"].startswith("req_")
    assert "secret" not in line["path"]


async def test_what_an_upstream_refuses_is_logged_as_its_error() -> None:
    async with (
        gateway_before(says(answer(b"{}", b"429 Too Many Requests"))) as (_, gateway),
        gateway.post() as response,
    ):
        assert response.status == 429
    assert [(line["status"], line["cause"]) for line in gateway.log] == [(429, "upstream_error")]


async def test_probes_and_models_are_logged_too(gateway: Running, upstream: RawUpstream) -> None:
    async with gateway.session.get(gateway.url + "/healthz") as response:
        assert response.status == 200
    async with gateway.session.get(gateway.url + "/v1/models", headers=HEADERS) as response:
        assert response.status == 200
    assert [line["path"] for line in gateway.log] == ["/api/healthz", "/api/v1/models"]
    # For what stands behind the wildcard.
    assert [each.head.split()[1] for each in upstream.requests] == [b"/v1/models?limit=1000"]


async def test_long_paths_are_cut(gateway: Running) -> None:
    async with gateway.session.get(f"{gateway.url}/{'a' * 5000}") as response:
        assert response.status == 404
    assert len(gateway.log[0]["path"]) == 200


async def test_text_lines_hold_the_same_fields_and_cannot_be_forged() -> None:
    lines: list[bytes] = []
    exchange = exchanges.Exchange(exchanges.Received("POST", "/v1/messages", "127.0.0.1"))
    exchange.session_id = "a b\nc status=500"
    exchange.model = "x=\u00fc"
    exchange.usage = {"input_tokens": 1}
    exchange.response_started(200)
    AccessLog("text", lines.append).ended(exchange)
    line = lines[0].decode()
    assert "\n" not in line
    assert " POST /v1/messages 200 request_id=req_" in line
    assert 'session_id="a b\\nc status=500"' in line
    assert 'usage={"input_tokens":1}' in line
    AccessLog("json", lines.append).ended(exchange)
    assert json.loads(lines[1])["session_id"] == exchange.session_id


async def test_without_a_sink_nothing_is_written() -> None:
    AccessLog("json", None).ended(exchanges.Exchange(exchanges.Received("GET", "/", None)))


class SlowStream(io.BytesIO):
    """A stream whose first write waits to be allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.allowed = threading.Event()

    def write(self, data: Any) -> int:
        self.writing.set()
        assert self.allowed.wait(5)
        return super().write(data)


async def test_a_slow_stream_does_not_hold_the_loop_and_loses_no_line() -> None:
    stream = SlowStream()
    sink = BufferedSink(stream)
    loop = asyncio.get_running_loop()
    sink(b"one")
    assert await loop.run_in_executor(None, stream.writing.wait, 5)
    for line in (b"two", b"three"):
        sink(line)
    stream.writing.clear()
    stream.allowed.set()
    assert await loop.run_in_executor(None, stream.writing.wait, 5)
    sink(b"four")
    sink.close()
    assert stream.getvalue() == b"one\ntwo\nthree\nfour\n"
