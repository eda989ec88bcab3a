"""Answers and bodies that were once mistaken for something else."""

import json

import pytest

from proxy import Timeouts
from proxy.aiohttp_fast import client as upstream_http
from proxy.errors import InvalidRequest
from proxy.protocol.call import MESSAGES, parse_call
from tests.support.gateways import config_for, running
from tests.support.raw import MESSAGE, UpstreamSide, answer, raw_upstream


async def test_a_request_that_was_held_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_http, "_STALE_WITHIN_S", 0.0)

    async def script(exchange: UpstreamSide) -> None:
        if len(upstream.requests) == 1:
            await exchange.send(answer())
        else:
            exchange.writer.close()

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        for status in (200, 502):
            async with gateway.post() as response:
                assert response.status == status
        assert len(upstream.requests) == 2


async def test_half_a_surrogate_pair_in_an_answer_passes() -> None:
    body = MESSAGE.replace(b'"Hi"', b'"cut \\ud83d"')

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer(body))

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url)) as gateway,
        gateway.post() as response,
    ):
        assert await response.read() == body
    assert gateway.log[0]["usage"] == json.loads(MESSAGE)["usage"]


async def test_an_error_that_calls_itself_a_stream_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"later"}}'

    async def script(exchange: UpstreamSide) -> None:
        whole = answer(body, b"529 Overloaded")
        await exchange.send(whole.replace(b"application/json", b"text/event-stream"))

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url)) as gateway,
        gateway.post() as response,
    ):
        assert (response.status, await response.read()) == (529, body)


async def test_a_success_that_is_a_page_is_no_success() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer(b"<h1>Hi</h1>").replace(b"application/json", b"text/html"))

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url)) as gateway,
        gateway.post() as response,
    ):
        assert response.status == 502
    assert gateway.log[0]["cause"] == "upstream_garbage"


async def test_a_client_that_reads_slowly_gets_all_of_a_big_message() -> None:
    body = b'{"text":"%s"}' % (b"z" * (12 << 20))

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer(body))

    timeouts = Timeouts(idle_s=0.6)
    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, timeouts=timeouts)) as gateway,
        gateway.post() as response,
    ):
        received = 0
        async for piece in response.content.iter_chunked(1 << 16):
            received += len(piece)
    assert received == len(body)
    assert gateway.log[0]["bytes_out"] == len(body)


@pytest.mark.parametrize("values", [b"[]", b"{}", b"1", b'"a,b"'])
@pytest.mark.parametrize("place", [b'"messages":[%s]', b'"messages":[],"x":[%s]'])
def test_a_body_of_millions_of_values_is_refused(values: bytes, place: bytes) -> None:
    many = b",".join([values] * 1_100_000)
    with pytest.raises(InvalidRequest, match="values"):
        parse_call(b'{"model":"m","max_tokens":1,' + place % many + b"}", MESSAGES)


def test_a_long_text_full_of_commas_is_one_value() -> None:
    text = b'a,{[\\"' * 500_000
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"%s"}]}' % text
    assert parse_call(body, MESSAGES).model == "m"
