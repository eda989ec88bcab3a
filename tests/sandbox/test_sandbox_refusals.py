"""The sandbox refuses what the API refuses, in the API's shape."""

import gzip
import io
import zlib
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from proxy.sandbox import REQUESTS, Knobs, Received, serve_sandbox
from tests.sandbox.client import HEADERS, Sandbox, Start, call

INVALID = "invalid_request_error"


def without(name: str) -> dict[str, Any]:
    body = call()
    del body[name]
    return body


async def refused(
    sandbox: Sandbox, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    async with sandbox.session.post(
        sandbox.url + "/v1/messages", data=io.BytesIO(body), headers=headers
    ) as response:
        answer = await response.json()
        assert answer["type"] == "error"
        assert answer["request_id"] == response.headers["request-id"]
        return response.status, answer["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Input should be a JSON object"),
        (without("model"), "model: Field required"),
        (without("messages"), "messages: Field required"),
        (without("max_tokens"), "max_tokens: Field required"),
        (call(model=1), "model: Input should be a valid string"),
        (call(max_tokens="1"), "max_tokens: Input should be an integer"),
        (call(max_tokens=True), "max_tokens: Input should be an integer"),
        (call(max_tokens=-1), "max_tokens: Input should be an integer"),
        (call(stream="yes"), "stream: Input should be a valid boolean"),
        (call(messages=[]), "messages: at least one message is required"),
        (call(messages={}), "messages: Expected `array`"),
        (call(messages=[{"content": "x"}]), "missing required field `role`"),
        (call(messages=[{"role": "tool", "content": "x"}]), "messages.0.role: Input should be"),
        (call(1), "messages: content: Input should be a string or a list"),
        (call("use the tool x", tools=[1]), "tools: Expected `object`"),
    ],
    ids=str,
)
async def test_wrong_body_is_refused_by_name(sandbox: Sandbox, body: Any, message: str) -> None:
    status, kind, text = await sandbox.error(body)
    assert (status, kind) == (400, INVALID)
    assert message in text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"model":"\xff"}', b'{"model":"claude-x","max_tokens":1,"messages":[{"role":'],
)
async def test_broken_json_is_refused(sandbox: Sandbox, body: bytes) -> None:
    status, error = await refused(sandbox, body, HEADERS)
    assert (status, error["type"]) == (400, INVALID)
    assert "not valid JSON" in error["message"]


@pytest.mark.parametrize("content", [b'"\\ud800"', b"1e999", b"[" * 100_000 + b"]" * 100_000])
async def test_content_that_cannot_be_decoded_is_refused(sandbox: Sandbox, content: bytes) -> None:
    head = b'{"model":"claude-x","max_tokens":1,"messages":[{"role":"user","content":'
    status, error = await refused(sandbox, head + content + b"}]}", HEADERS)
    assert (status, error["type"]) == (400, INVALID)


@pytest.mark.parametrize("model", ["gpt-5", "claude-", "anthropic/claude-haiku-4.5"])
async def test_unknown_model_is_not_found(sandbox: Sandbox, model: str) -> None:
    assert await sandbox.error(call(model=model)) == (404, "not_found_error", f"model: {model}")


@pytest.mark.parametrize(
    "credential",
    [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer "}, {"x-api-key": ""}],
)
async def test_missing_credential_is_refused(sandbox: Sandbox, credential: dict[str, str]) -> None:
    status, error = await refused(sandbox, b"{}", {"anthropic-version": "1"} | credential)
    assert (status, error["type"]) == (401, "authentication_error")


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        ({"x-api-key": "right"}, 400),
        ({"authorization": "Bearer right"}, 400),
        ({"x-api-key": "right", "authorization": "bearer right"}, 400),
        ({"x-api-key": "wrong"}, 401),
        ({"x-api-key": "right", "authorization": "Bearer wrong"}, 401),
    ],
)
async def test_only_the_key_that_is_set_is_accepted(
    start: Start, credential: dict[str, str], status: int
) -> None:
    sandbox = await start(Knobs(key="right"))
    assert (await refused(sandbox, b"", {"anthropic-version": "1"} | credential))[0] == status


async def test_missing_version_is_refused(sandbox: Sandbox) -> None:
    status, error = await refused(sandbox, b"{}", {"x-api-key": "k"})
    assert (status, error["message"]) == (400, "anthropic-version: header is required")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ("colour=red", "x-sandbox: unknown knob 'colour'"),
        ("record=1", "x-sandbox: record: only at the start"),
        ("seed=1", "x-sandbox: seed: only at the start"),
    ],
)
async def test_wrong_knob_is_refused(sandbox: Sandbox, knobs: str, message: str) -> None:
    assert await sandbox.error(call(), knobs) == (400, INVALID, message)


async def test_unknown_path_and_method_have_the_apis_shape(sandbox: Sandbox) -> None:
    async with sandbox.session.get(sandbox.url + "/v1/nowhere") as response:
        assert response.status == 404
        assert (await response.json())["error"]["type"] == "not_found_error"
    async with sandbox.session.get(sandbox.url + "/v1/messages") as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")
        assert (await response.json())["error"]["type"] == INVALID


async def test_body_over_32_mib_is_refused(sandbox: Sandbox) -> None:
    status, error = await refused(sandbox, b" " * (32 * 1024 * 1024 + 1), HEADERS)
    assert (status, error["type"]) == (413, "request_too_large")


BODY = b'{"model":"claude-x","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(BODY)), ("Deflate", zlib.compress(BODY))],
    ids=["gzip", "Deflate"],
)
async def test_compressed_request_is_understood(
    sandbox: Sandbox, encoding: str, body: bytes
) -> None:
    async with sandbox.session.post(
        sandbox.url + "/v1/messages",
        data=body,
        headers=HEADERS | {"content-encoding": encoding},
    ) as response:
        assert (await response.json())["content"][0]["text"] == "You said: hi"


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("br", b"x", 415, "request_body_encoding_unsupported"),
        ("gzip", b"{}", 400, "request_body_encoding_invalid"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "request_body_encoding_invalid"),
        (
            "gzip",
            gzip.compress(b" " * (32 * 1024 * 1024 + 1)),
            413,
            "request_body_too_large_after_decoding",
        ),
    ],
    ids=["unknown", "plain", "cut", "bomb"],
)
async def test_request_that_cannot_be_decoded_is_refused_with_a_code(
    sandbox: Sandbox, encoding: str, body: bytes, status: int, code: str
) -> None:
    got, error = await refused(sandbox, body, HEADERS | {"content-encoding": encoding})
    assert (got, error["details"]["error_code"]) == (status, code)


async def test_requests_are_recorded_raw_whatever_is_answered(start: Start) -> None:
    sandbox = await start(Knobs(record=True))
    compressed = gzip.compress(BODY)
    headers = HEADERS | {"content-encoding": "gzip"}
    async with sandbox.session.post(
        URL(sandbox.url + "/v1/messages?x=%2f", encoded=True), data=compressed, headers=headers
    ):
        pass
    async with sandbox.session.get(sandbox.url + "/nowhere"):
        pass
    assert sandbox.runner.app is not None
    first, second = sandbox.runner.app[REQUESTS]
    assert (first.method, first.path_qs, first.body) == ("POST", "/v1/messages?x=%2f", compressed)
    assert (b"content-encoding", b"gzip") in first.raw_headers
    assert (second.method, second.path_qs, second.body) == ("GET", "/nowhere", b"")
    assert isinstance(first, Received)


async def test_nothing_is_recorded_by_default(sandbox: Sandbox) -> None:
    await sandbox.message(call())
    app: web.Application = sandbox.runner.app
    assert not app[REQUESTS]


async def test_taken_port_is_an_error_that_leaves_nothing_behind(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        await serve_sandbox("127.0.0.1", sandbox.port)
