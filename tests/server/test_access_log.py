"""One line for every request, however it ended, with nothing secret in it."""

import asyncio
import datetime
import io
import threading
from typing import Any

import pytest

from proxy import Key
from proxy.access.keys import digest
from proxy.telemetry.sink import BufferedSink
from tests.support.client import connected, request, talk
from tests.support.gateways import (
    BODY,
    HEADERS,
    MODEL,
    STREAM_BODY,
    Running,
    config_for,
    running,
)
from tests.support.raw import SSE_HEAD, STREAM, RawUpstream, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says


async def test_a_message_is_logged_with_every_field(gateway: Running) -> None:
    ids = {
        "x-claude-code-session-id": "s" * 500,
        "x-claude-code-agent-id": "agent-1",
        "user-agent": "claude-cli/2.1.330 (external, cli)",
    }
    async with gateway.post(path="/v1/messages?beta=true", headers=ids) as response:
        body = await response.read()
        request_id = response.headers["request-id"]
    (line,) = gateway.log
    assert line.pop("time").endswith("Z")
    assert 0 <= line.pop("first_byte_ms") <= line.pop("total_ms")
    assert line == {
        "level": "info",
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
        "client_product": "claude-cli",
        "client_version": "2.1.330",
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


async def test_the_field_at_fault_is_logged_and_not_what_it_holds(gateway: Running) -> None:
    async with gateway.post(BODY.replace(b'"user"', b'["secret"]')) as response:
        assert response.status == 400
    (line,) = gateway.log
    assert (line["error_type"], line["detail"]) == ("invalid_request_error", "messages.0.role")
    assert "secret" not in str(line)


async def test_when_to_try_again_is_logged(gateway: Running) -> None:
    gateway.gateway.draining = True
    async with gateway.post() as response:
        assert response.status == 529
    (line,) = gateway.log
    assert (line["level"], line["retry_after"]) == ("error", 1)


OLD = Key("old", digest("ar-old"), expires_at=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))

OFF = Key("off", digest("ar-off"), disabled=True)


@pytest.mark.parametrize(
    ("key", "detail", "name"),
    [
        ("", "missing", None),
        ("ar-1", "malformed", None),
        ("ar-unknown", "unknown", None),
        ("ar-old", "expired", "old"),
        ("ar-off", "disabled", "off"),
    ],
    ids=["missing", "malformed", "unknown", "expired", "disabled"],
)
async def test_a_401_says_in_the_log_what_was_wrong_with_the_key(
    key: str, detail: str, name: str | None
) -> None:
    async with (
        running(config_for("http://127.0.0.1:1", keys=(OLD, OFF))) as gateway,
        gateway.post(headers={"x-api-key": key, "user-agent": "curl/8.5.0"}) as response,
    ):
        assert response.status == 401
        told = await response.text()
    (line,) = gateway.log
    assert (line["detail"], line.get("key"), line["client_product"]) == (detail, name, "curl")
    assert "old" not in told
    assert "disabled" not in told


async def test_what_an_upstream_refuses_is_logged_as_its_error() -> None:
    async with (
        gateway_before(says(answer(b"{}", b"429 Too Many Requests"))) as (_, gateway),
        gateway.post() as response,
    ):
        assert response.status == 429
    assert [(line["status"], line["cause"]) for line in gateway.log] == [(429, "upstream_error")]


PROBES = ("", "/", "/hello", "/api/hello", "/healthz", "/readyz")


async def test_the_model_list_is_logged_and_no_probe(
    gateway: Running, upstream: RawUpstream
) -> None:
    for path in PROBES:
        async with gateway.session.get(gateway.url + path) as response:
            assert response.status == 200
    async with gateway.session.get(gateway.url + "/v1/models", headers=HEADERS) as response:
        assert response.status == 200
    assert [line["path"] for line in gateway.log] == ["/api/v1/models"]
    # For what stands behind the wildcard.
    assert [each.head.split()[1] for each in upstream.requests] == [b"/v1/models?limit=1000"]


async def test_long_paths_are_cut(gateway: Running) -> None:
    async with gateway.session.get(f"{gateway.url}/{'a' * 5000}") as response:
        assert response.status == 404
    assert len(gateway.log[0]["path"]) == 200


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
