"""Answers whose bytes are compressed, or said to be: they cross as they are, and are read where that can be."""

import gzip
import json
import zlib

import pytest

from tests.relay.answered import ECHOED, answered
from tests.support.client import ask, request
from tests.support.gateways import MODEL, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, STREAM, answer, chunk
from tests.support.scripts import gateway_before, says


async def test_a_compressed_message_passes_as_it_is() -> None:
    body = gzip.compress(MESSAGE)
    reply = await answered(answer(body, b"200 OK", b"content-encoding: gzip"))
    assert reply.body == body
    assert reply.values("content-encoding") == ["gzip"]


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
async def test_a_compressed_stream_passes_as_it_is(name: str) -> None:
    body = gzip.compress(STREAM) if name == "gzip" else zlib.compress(STREAM)
    head = SSE_HEAD.replace(b"request-id", b"content-encoding: %s\r\nrequest-id" % name.encode())
    reply = await answered(head + chunk(body[:50]) + chunk(body[50:]) + chunk(b""), STREAM_BODY)
    assert (reply.body, reply.whole) == (body, True)
    assert reply.values("content-encoding") == [name]


NO_ENCODING = {
    "identity": b"identity",
    "in capitals": b"IDENTITY",
    "in a list": b"identity, identity",
    "in two lines": b"identity\r\ncontent-encoding: identity",
    "nothing": b"",
    "an empty list": b" , ",
}


@pytest.mark.parametrize("named", NO_ENCODING.values(), ids=NO_ENCODING)
async def test_a_message_whose_encoding_is_none_is_read_as_any_other(named: bytes) -> None:
    said = answer(MESSAGE, b"200 OK", b"content-encoding: " + named)
    async with gateway_before(says(said)) as (_, gateway):
        reply = await ask(gateway, request())
    assert reply.body == MESSAGE.replace(b"claude-sonnet-4-6", MODEL.encode())
    assert gateway.log[0]["usage"] == json.loads(MESSAGE)["usage"]


@pytest.mark.parametrize("named", NO_ENCODING.values(), ids=NO_ENCODING)
async def test_a_stream_whose_encoding_is_none_is_watched_as_any_other(named: bytes) -> None:
    head = SSE_HEAD.replace(b"request-id", b"content-encoding: %b\r\nrequest-id" % named)
    async with gateway_before(says(head, chunk(STREAM), chunk(b""))) as (_, gateway):
        reply = await ask(gateway)
    assert (reply.body, reply.ending) == (ECHOED, "message")
    assert gateway.log[0]["usage"]["output_tokens"] == 7
    broken = await answered(head + chunk(EVENTS[0]) + chunk(b""), STREAM_BODY)
    assert broken.ending == "error event"
