"""A 2xx is a success when it holds a message: no other reaches a client as one, or stands in the log as one."""

import msgspec
import pytest

from tests.support.client import Response, ask, request
from tests.support.gateways import BODY, STREAM_BODY, config_for, running
from tests.support.raw import (
    MESSAGE,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

ERROR = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


async def answered(data: bytes, body: bytes = BODY) -> tuple[Response, str | None]:
    """Give the client's answer and the `cause` of its line in the log."""

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(data)
        exchange.writer.close()

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        reply = await ask(gateway, request(body=body))
        return reply, gateway.log[0].get("cause")


@pytest.mark.parametrize("body", [BODY, STREAM_BODY], ids=["message", "stream"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(b"HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n", id="205"),
        pytest.param(answer(MESSAGE[:50], b"206 Partial Content"), id="206, half a message"),
        pytest.param(answer(MESSAGE, b"206 Partial Content"), id="206, a part that looks whole"),
        pytest.param(answer(b"<html>", b"201 Created"), id="201, HTML"),
        pytest.param(answer(b"", b"202 Accepted"), id="202, empty"),
        pytest.param(
            answer(b"<html>", b"200 OK", b"content-encoding: identity"), id="HTML, not encoded"
        ),
        pytest.param(answer(b"[]", b"203 Transformed"), id="203, no object"),
        pytest.param(answer(MESSAGE[:-1], b"299 Odd"), id="299, not JSON"),
        pytest.param(
            SSE_HEAD.replace(b"200 OK", b"206 Partial") + chunk(STREAM) + chunk(b""),
            id="206, a stream",
        ),
    ],
)
async def test_a_success_without_a_message_is_a_502(data: bytes, body: bytes) -> None:
    reply, cause = await answered(data, body)
    assert (reply.status, cause) == (502, "upstream_garbage")
    assert msgspec.json.decode(reply.body)["type"] == "error"


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"299 Odd"])
async def test_a_message_of_any_2xx_passes_with_its_model_and_usage(status: bytes) -> None:
    reply, cause = await answered(answer(MESSAGE, status))
    assert (reply.status, cause) == (int(status[:3]), None)
    assert msgspec.json.decode(reply.body)["model"] == "anthropic/claude-sonnet-4.6"


async def test_a_stream_of_another_2xx_is_watched_as_one() -> None:
    created = SSE_HEAD.replace(b"200 OK", b"201 Created")
    reply, cause = await answered(created + chunk(STREAM) + chunk(b""), STREAM_BODY)
    assert (reply.status, reply.ending, cause) == (201, "message", None)
    reply, cause = await answered(created + chunk(STREAM[:-30]) + chunk(b""), STREAM_BODY)
    assert (reply.ending, cause) == ("broken", "upstream_cut")


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created"])
@pytest.mark.parametrize(
    "body",
    [ERROR, b'{"error":"no"}', b'{"error": {"message":"\\ud83d"}, "id": 1}', b'{"error":[]}'],
    ids=["the API's", "text", "half a surrogate pair", "odd"],
)
async def test_an_error_in_a_success_passes_as_it_is_and_has_a_cause(
    body: bytes, status: bytes
) -> None:
    reply, cause = await answered(answer(body, status))
    assert (reply.status, reply.body, cause) == (int(status[:3]), body, "upstream_error")


@pytest.mark.parametrize(
    "body",
    [
        MESSAGE[:-1] + b',"error":{"type":"x"}}',
        MESSAGE[:-1] + b',"error":null}',
        b'{"input_tokens":3,"error":null}',
        b'{"input_tokens":3,"error":{}}',
    ],
)
async def test_a_message_or_count_that_has_an_error_beside_it_is_a_success(body: bytes) -> None:
    reply, cause = await answered(answer(body))
    assert (reply.status, cause) == (200, None)
