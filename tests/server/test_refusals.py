"""The error table of the contract, row by row, under both mounts."""

import time

import aiohttp
import pytest
from aiohttp import hdrs, web
from yarl import URL

from fuzz.machine import slowness
from proxy import create_app
from proxy.api.context import EXCHANGE
from proxy.server.serve import listening
from tests.support.client import talk
from tests.support.gateways import BODY, HEADERS, Running, config_for, running
from tests.support.raw import RawUpstream, answer
from tests.support.refusals import refusal
from tests.support.scripts import gateway_before, says

MOUNTS = ("/api", "")
MESSAGES = "/v1/messages"


def url(gateway: Running, mount: str, path: str) -> str:
    return f"http://{gateway.host}:{gateway.port}{mount}{path}"


def asking(model: str) -> bytes:
    return BODY.replace(b"anthropic/claude-sonnet-4.6", model.encode())


CONTENT_TYPES = {
    "application/json": 200,
    "application/json; charset=utf-8": 200,
    "APPLICATION/JSON": 200,
    "application/json;charset=utf-16": 415,
    "text/plain": 415,
    "application/x-www-form-urlencoded": 415,
    "application/jsonx": 415,
    "multipart/form-data; boundary=x": 415,
    "": 415,
    "nonsense": 415,
}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(("content_type", "status"), CONTENT_TYPES.items(), ids=str)
async def test_a_body_must_be_json_by_its_content_type(
    gateway: Running, mount: str, content_type: str, status: int
) -> None:
    headers = {**HEADERS, "content-type": content_type}
    async with gateway.session.post(
        url(gateway, mount, MESSAGES), data=BODY, headers=headers
    ) as response:
        if status == 415:
            await refusal(response, 415, "invalid_request_error")
        assert response.status == status


@pytest.mark.parametrize("path", ["/v1/messages/count%5Ftokens", "/v1/messages/count_token%73"])
async def test_a_count_is_checked_as_one_however_its_path_is_spelled(
    gateway: Running, upstream: RawUpstream, path: str
) -> None:
    counted = BODY.replace(b' "max_tokens": 64,', b"")
    target = URL(gateway.url + path, encoded=True)
    async with gateway.session.post(target, data=counted, headers=HEADERS) as response:
        assert response.status == 200, await response.text()
    assert upstream.requests[0].head.startswith(b"POST /v1/messages/count_tokens ")


@pytest.mark.parametrize("written", [b"", b"a part"], ids=["head only", "a part"])
async def test_a_defect_behind_a_prepared_answer_ends_the_connection(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture, written: bytes
) -> None:
    async def fail(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if written:
            await response.write(written)
        raise LookupError("a defect")

    app = create_app(config_for(upstream.url), access_log=None)
    app.router.add_get("/further", fail)
    async with listening(app, config_for(upstream.url)) as addresses:
        wanted = (
            b"GET /further HTTP/1.1\r\nHost: h\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
        )
        received = await talk(*addresses[0], wanted + b"\r\n")
    assert not received.endswith(b"0\r\n\r\n")
    assert b"internal error" not in received
    assert "a defect" in caplog.text


async def test_a_defect_before_a_streams_answer_is_a_500(upstream: RawUpstream) -> None:
    async def fail(request: web.Request) -> web.StreamResponse:
        request[EXCHANGE].stream = True
        raise LookupError("a defect")

    app = create_app(config_for(upstream.url), access_log=None)
    app.router.add_get("/further", fail)
    async with (
        listening(app, config_for(upstream.url)) as addresses,
        aiohttp.ClientSession() as session,
        session.get("http://{}:{}/further".format(*addresses[0]), headers=HEADERS) as response,
    ):
        await refusal(response, 500, "api_error")


async def test_a_content_type_that_takes_long_to_read_is_415_at_once(gateway: Running) -> None:
    """Python's reader of one with 2,000 parameters takes 300 ms."""
    began_s = time.process_time()
    for _ in range(5):
        label = {**HEADERS, "content-type": f"application/json;{'a=b;' * 1_900}"}
        async with gateway.post(headers=label) as response:
            await refusal(response, 415, "invalid_request_error")
    assert (time.process_time() - began_s) / slowness() < 0.5


async def test_a_missing_content_type_is_415(gateway: Running) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "content-type"}
    async with gateway.session.post(
        gateway.url + MESSAGES,
        data=BODY,
        headers=headers,
        skip_auto_headers=[hdrs.CONTENT_TYPE],
    ) as response:
        error = await refusal(response, 415, "invalid_request_error")
    assert error["message"].startswith("content-type: ")


BAD_BODIES = {
    "empty": (b"", "body: empty; send a JSON object"),
    "not JSON": (b"model=x", "body: not valid JSON"),
    "truncated": (BODY[:-5], "body: "),
    "more after it": (BODY + b"{}", "body: "),
    "not UTF-8": (BODY.replace(b"say hi", b"say \xff"), "body: not UTF-8"),
    "NUL in a string": (BODY.replace(b"say hi", b"say \x00"), "body: "),
    "NUL before it": (b"\x00" + BODY, "body: "),
    "a byte order mark": (b"\xef\xbb\xbf" + BODY, "body: "),
    "UTF-16": (BODY.decode().encode("utf-16"), "body: "),
    "lone surrogate": (BODY.replace(b"say hi", rb"\ud800"), "body: "),
    "a list": (b"[]", "body: "),
    "null": (b"null", "body: "),
    "arrays nested 100,000 deep": (b"[" * 100_000, "body: "),
    "objects nested 100,000 deep": (b'{"a":' * 100_000, "body: "),
    "metadata nested 100,000 deep": (
        BODY[:-1] + b',"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        "body: nested too deep",
    ),
    "NaN": (BODY.replace(b"64", b"NaN"), "body: "),
    "a huge exponent": (BODY.replace(b"64", b"1e999999"), "body: "),
    "a number of 100,000 digits": (BODY.replace(b"64", b"9" * 100_000), ""),
    "a fraction": (BODY.replace(b"64", b"1.5"), "max_tokens: "),
    "a negative number": (BODY.replace(b"64", b"-1"), "max_tokens: "),
    "a boolean number": (BODY.replace(b"64", b"true"), "max_tokens: "),
    "no model": (b'{"max_tokens":1,"messages":[]}', ""),
    "model of another type": (BODY.replace(b'"anthropic/claude-sonnet-4.6"', b"7"), "model: "),
    "no max_tokens": (BODY.replace(b'"max_tokens": 64,', b""), "max_tokens: "),
    "no messages": (b'{"model":"claude-x","max_tokens":1}', "messages: "),
    "role of another type": (BODY.replace(b'"user"', b"1"), "messages.0.role: "),
    "no content": (BODY.replace(b', "content": "say hi"', b""), "messages.0.content: "),
    "stream of another type": (BODY[:-1] + b',"stream":"yes"}', "stream: "),
    "temperature out of range": (BODY[:-1] + b',"temperature":1.5}', "temperature: "),
}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(("body", "begins"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_bad_body_is_400_naming_the_place_and_the_server_still_serves(
    gateway: Running, upstream: RawUpstream, mount: str, body: bytes, begins: str
) -> None:
    async with gateway.session.post(
        url(gateway, mount, MESSAGES), data=body, headers=HEADERS
    ) as response:
        error = await refusal(response, 400, "invalid_request_error")
    assert error["message"].startswith(begins)
    assert len(error["message"]) < 500
    assert not upstream.requests
    async with gateway.post() as response:
        assert response.status == 200


@pytest.mark.parametrize("mount", MOUNTS)
async def test_another_vendors_model_is_404_and_told_that_there_are_no_chat_completions(
    gateway: Running, upstream: RawUpstream, mount: str
) -> None:
    async with gateway.session.post(
        url(gateway, mount, MESSAGES), data=asking("openai/gpt-5"), headers=HEADERS
    ) as response:
        error = await refusal(response, 404, "not_found_error")
    assert "which this gateway does not serve" in error["message"]
    assert not upstream.requests


@pytest.mark.parametrize("path", [MESSAGES, "/v1/messages/count_tokens"])
@pytest.mark.parametrize("mount", MOUNTS)
async def test_an_unknown_model_is_404_naming_it(
    upstream: RawUpstream, mount: str, path: str
) -> None:
    config = config_for(upstream.url)
    config = config_for(upstream.url, models=config.models[:1])
    async with (
        running(config) as gateway,
        gateway.session.post(
            url(gateway, mount, path), data=asking("anthropic/claude-none-1"), headers=HEADERS
        ) as response,
    ):
        error = await refusal(response, 404, "not_found_error")
    assert error["message"] == "model: anthropic/claude-none-1"
    assert not upstream.requests


@pytest.mark.parametrize("mount", MOUNTS)
async def test_an_upstream_that_is_not_there_is_502(unused_tcp_port: int, mount: str) -> None:
    async with (
        running(config_for(f"http://127.0.0.1:{unused_tcp_port}")) as gateway,
        gateway.session.post(url(gateway, mount, MESSAGES), data=BODY, headers=HEADERS) as response,
    ):
        await refusal(response, 502, "api_error")
    assert gateway.log[0]["cause"] == "upstream_unreachable"


@pytest.mark.parametrize("mount", MOUNTS)
async def test_the_upstreams_own_401_is_502_and_its_text_is_not_shown(
    mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        gateway_before(
            says(answer(b'{"error":"invalid x-api-key sk-up"}', b"401 Unauthorized"))
        ) as (_, gateway),
        gateway.session.post(url(gateway, mount, MESSAGES), data=BODY, headers=HEADERS) as response,
    ):
        error = await refusal(response, 502, "api_error")
        assert response.headers["x-should-retry"] == "false"
    assert "sk-up" not in error["message"]
    assert "upstreams.first.auth" in caplog.text
    assert gateway.log[0]["cause"] == "upstream_auth"


NO_SUCH_PATH = ["/v1/complete", "/v1/messages/batches", "/x", "/v1/v1/v1/messages", "/v2/messages"]


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("path", NO_SUCH_PATH)
@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND"])
async def test_an_unknown_path_is_404_without_asking_for_a_key(
    gateway: Running, mount: str, path: str, method: str
) -> None:
    async with gateway.session.request(method, url(gateway, mount, path)) as response:
        await refusal(response, 404, "not_found_error")


WRONG_METHODS = [
    ("GET", "/v1/messages", {"POST"}),
    ("PUT", "/v1/messages", {"POST"}),
    ("OPTIONS", "/v1/messages", {"POST"}),
    ("DELETE", "/v1/messages/count_tokens", {"POST"}),
    ("POST", "/v1/models", {"GET", "HEAD"}),
    ("DELETE", "/v1/models/x", {"GET", "HEAD"}),
    ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
]


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(("method", "path", "allowed"), WRONG_METHODS)
async def test_a_wrong_method_is_405_with_the_right_ones(
    gateway: Running, mount: str, method: str, path: str, allowed: set[str]
) -> None:
    async with gateway.session.request(method, url(gateway, mount, path)) as response:
        await refusal(response, 405, "invalid_request_error")
        assert set(response.headers["allow"].split(", ")) == allowed
