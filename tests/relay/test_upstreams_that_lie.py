"""Whatever an upstream does before the first byte is passed on, the client gets an error in the API's shape."""

import asyncio
import gzip
import socket

import msgspec
import pytest

from proxy import Timeouts
from tests.relay.settled import settled
from tests.support.client import Response, ask, request
from tests.support.gateways import config_for, running
from tests.support.raw import MESSAGE, STREAM, UpstreamSide, answer, raw_upstream
from tests.support.scripts import gateway_before, says, then_closes, then_waits

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def checked(reply: Response, status: int, error_type: str) -> None:
    assert reply.status == status
    body = msgspec.json.decode(reply.body)
    assert body["type"] == "error"
    assert body["error"]["type"] == error_type
    assert [body["request_id"]] == reply.values("request-id")
    assert reply.whole


@pytest.mark.parametrize("kill", ["fin", "rst"])
@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param(b"", "upstream_cut", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-", "upstream_cut", id="half a head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", "upstream_garbage", id="not HTTP"),
        pytest.param(b"\x00\xff\r\n\r\n", "upstream_garbage", id="bytes"),
        pytest.param(b"HTTP/1.1 999999 X\r\n\r\n", "upstream_garbage", id="status"),
        pytest.param(answer()[:-1], "upstream_cut", id="a byte short"),
        pytest.param(HEAD + b"content-length: 5\r\n\r\n" + MESSAGE, "upstream_garbage", id="long"),
        pytest.param(HEAD + b"content-length: x\r\n\r\n{}", "upstream_garbage", id="bad length"),
        pytest.param(CHUNKED + b"zz\r\n{}\r\n", None, id="bad chunk size"),
        pytest.param(CHUNKED + b"5\r\n{}", "upstream_cut", id="half a chunk"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n", "upstream_cut", id="no last chunk"),
        pytest.param(HEAD + b"\r\n" + MESSAGE[:-1], None, id="cut, without framing"),
        pytest.param(answer(b"<html>"), "upstream_garbage", id="not JSON"),
        pytest.param(answer(b"[1]"), "upstream_garbage", id="not an object"),
        pytest.param(answer(b""), "upstream_garbage", id="empty"),
        pytest.param(answer(b'{"a":' * 9999), "upstream_garbage", id="nested"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            None,
            id="upgrade",
        ),
        pytest.param(answer(MESSAGE, b"200 OK", b"x-odd: a\x01b"), None, id="control character"),
        pytest.param(
            answer(b"{}", b"429 Slow")[:-1] + b"", "upstream_cut", id="an error, a byte short"
        ),
    ],
)
async def test_a_bad_answer_is_a_502(data: bytes, cause: str | None, kill: str) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(data)
        await asyncio.sleep(0.01)  # a reset takes what has not been read
        if kill == "rst":
            exchange.reset()
        else:
            exchange.writer.close()

    async with gateway_before(script) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        checked(await ask(gateway, request()), 502, "api_error")
        assert len(upstream.requests) == 1
        await settled(gateway, upstream, before)
    assert gateway.log[0]["cause"] == (cause or gateway.log[0]["cause"])
    assert gateway.log[0]["cause"].startswith("upstream_")


async def test_an_error_cut_by_a_reset_is_a_502_however_it_was_framed() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(b'HTTP/1.1 429 X\r\ncontent-type: application/json\r\n\r\n{"type":')
        await asyncio.sleep(0.01)  # a reset takes what has not been read
        exchange.reset()

    async with gateway_before(script) as (_, gateway):
        checked(await ask(gateway, request()), 502, "api_error")


async def test_an_upstream_that_refuses_connections_is_a_502() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        async with running(config_for(url)) as gateway:
            reply = await ask(gateway, request())
    checked(reply, 502, "api_error")
    assert url.removeprefix("http://").encode() not in reply.body
    assert gateway.log[0]["cause"] == "upstream_unreachable"


async def test_an_upstream_that_accepts_no_connection_is_a_502_after_connect_s() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            config = config_for(f"http://127.0.0.1:{address[1]}", timeouts=Timeouts(connect_s=0.1))
            async with running(config) as gateway:
                checked(await ask(gateway, request()), 502, "api_error")
    assert gateway.log[0]["cause"] == "upstream_unreachable"


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_an_upstream_without_an_answer_is_a_504_after_first_byte_s(half: bytes) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(half)
        await exchange.until_closed()

    async with raw_upstream(script) as upstream:
        config = config_for(upstream.url, timeouts=Timeouts(first_byte_s=0.1))
        async with running(config) as gateway:
            checked(await ask(gateway, request()), 504, "timeout_error")
            await upstream.all_closed.wait()
    assert gateway.log[0]["cause"] == "upstream_timeout"


async def test_an_upstream_silent_inside_a_message_is_a_504_after_idle_s() -> None:
    async with gateway_before(then_waits(answer()[:-10]), timeouts=Timeouts(idle_s=0.1)) as (
        upstream,
        gateway,
    ):
        checked(await ask(gateway, request()), 504, "timeout_error")
        await upstream.all_closed.wait()


async def test_an_answer_beyond_the_bound_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.buffered.MAX_BYTES", 1 << 20)

    async with gateway_before(says(answer(b'{"a":"%s"}' % (b"x" * (8 << 20))))) as (
        upstream,
        gateway,
    ):
        checked(await ask(gateway, request()), 502, "api_error")
        await upstream.all_closed.wait()
    assert gateway.log[0]["cause"] == "upstream_too_large"


async def test_header_bytes_that_are_not_utf_8_do_no_harm() -> None:
    data = request().replace(b"anthropic-version", b"x-odd: \xff\xfe\r\nanthropic-version")
    async with gateway_before(
        says(answer(MESSAGE, b"200 \xfc\xff", b"x-odd: \xfc\xff", b"x-even: 1"))
    ) as (_, gateway):
        reply = await ask(gateway, data)
    assert (reply.status, reply.values("x-even")) == (200, ["1"])


@pytest.mark.parametrize("coding", [b"identity", b"gzip", b"chunked, identity"], ids=repr)
async def test_a_compressed_stream_without_chunks_may_be_cut_whatever_it_calls_its_framing(
    coding: bytes,
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    said = head + b"transfer-encoding: %b\r\n\r\n" % coding + gzip.compress(STREAM)[:40]
    async with gateway_before(then_closes(said)) as (_, gateway):
        reply = await ask(gateway)
    assert reply.ending == "broken"
    assert gateway.log[0]["cause"] == "upstream_cut"


async def test_an_error_that_calls_itself_a_stream_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"later"}}'

    async def script(exchange: UpstreamSide) -> None:
        whole = answer(body, b"529 Overloaded")
        await exchange.send(whole.replace(b"application/json", b"text/event-stream"))

    async with (
        gateway_before(script) as (_, gateway),
        gateway.post() as response,
    ):
        assert (response.status, await response.read()) == (529, body)


async def test_a_success_that_is_a_page_is_no_success() -> None:
    async with (
        gateway_before(says(answer(b"<h1>Hi</h1>").replace(b"application/json", b"text/html"))) as (
            _,
            gateway,
        ),
        gateway.post() as response,
    ):
        assert response.status == 502
    assert gateway.log[0]["cause"] == "upstream_garbage"
