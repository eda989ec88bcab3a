"""A stream is held until it is one: what fails before that is moved, or an error response; never after content."""

import asyncio
import gzip
import logging

import msgspec
import pytest

from proxy import Member, Timeouts, deadlines
from tests.support.client import ask
from tests.support.gateways import BODY, MODEL, STREAM_BODY
from tests.support.pools import CONTENT, PING, START, Pooled, error, good, pooled
from tests.support.raw import EVENTS, SSE_HEAD, STREAM, Script, UpstreamSide, chunk
from tests.support.scripts import gateway_before

GOOD = STREAM.replace(b"claude-sonnet-4-6", MODEL.encode())
ALONE = (Member("a"),)
FIRST = START.replace(b"msg_1", b"msg_of_a")


def failing(kind: bytes = b"overloaded_error") -> bytes:
    return (
        b'event: error\ndata: {"type":"error","error":{"type":"%b","message":"later"}}\n\n' % kind
    )


def streaming(*parts: bytes, closes: bool = True, head: bytes = SSE_HEAD) -> Script:
    """Send a stream in chunks, each of which arrives alone, and end it."""

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(head)
        for part in parts:
            await upstream.send(chunk(part))
            await asyncio.sleep(0)  # so that they arrive one by one
        if closes:
            await upstream.send(chunk(b""))
        else:
            upstream.writer.close()

    return script


OPENINGS = {
    "at once": [failing()],
    "behind the start": [START + failing()],
    "behind start and ping, in one chunk": [START + PING + failing()],
    "each in a chunk": [START, PING, failing()],
    "an API error": [START, failing(b"api_error")],
    "a rate limit": [failing(b"rate_limit_error")],
    "with a comment": [b": hello\n\n", START, failing()],
    "byte by byte": [b"%c" % byte for byte in START + PING + failing()],
    "with CRs": [(START + failing()).replace(b"\n", b"\r\n")],
    "without a blank line": [START, failing().rstrip(b"\n")],
}


async def stream(pool: Pooled) -> bytes:
    status, body = await pool.ask(STREAM_BODY)
    assert status == 200
    return body


@pytest.mark.parametrize("parts", OPENINGS.values(), ids=OPENINGS)
async def test_an_error_before_content_is_answered_by_the_second(parts: list[bytes]) -> None:
    async with pooled(streaming(*parts), good) as pool:
        assert await stream(pool) == GOOD
        assert pool.asked() == {"a": 1, "b": 1}
    line = pool.last
    assert (line["upstream"], line["away"], line["status"]) == ("b", True, 200)
    assert line["usage"] == {
        "input_tokens": 11,
        "cache_read_input_tokens": 3,
        "output_tokens": 7,
    }
    first, second = line["attempts"]
    assert (first["status"], first["cause"].endswith("_error")) == (200, True)
    assert "usage" not in second
    assert "cause" not in line


async def test_what_was_thrown_away_is_told_beside_and_not_as_the_requests_own() -> None:
    async with pooled(streaming(FIRST, failing()), good) as pool:
        assert b"msg_of_a" not in await stream(pool)
    first, _ = pool.last["attempts"]
    assert first == {
        "upstream": "a",
        "ms": first["ms"],
        "status": 200,
        "cause": "overloaded_error",
        "request_id": "req_up",
        "usage": {"input_tokens": 11, "cache_read_input_tokens": 3, "output_tokens": 1},
    }


FINAL = {
    "content": [START, CONTENT, failing()],
    "content in one chunk": [START + CONTENT + failing()],
    "a ping and content in one chunk": [START, PING + CONTENT, failing()],
    "an unknown event": [START, b'event: x\ndata: {"type":"x"}\n\n', failing()],
    "an error of the request": [START, failing(b"invalid_request_error")],
    "an error without a type": [b'event: error\ndata: {"type":"error"}\n\n'],
}


@pytest.mark.parametrize("parts", FINAL.values(), ids=FINAL)
async def test_after_content_and_for_other_errors_nothing_is_asked_twice(
    parts: list[bytes],
) -> None:
    async with pooled(streaming(*parts), good) as pool:
        body = await stream(pool)
        assert pool.asked() == {"a": 1, "b": 0}
    assert body == b"".join(parts).replace(b"claude-sonnet-4-6", MODEL.encode())
    assert (pool.last["status"], pool.last["cause"]) == (200, "upstream_error")


@pytest.mark.parametrize("parts", [[], [START[:50]], [START], [START, PING]], ids=len)
async def test_a_cut_while_held_is_a_clean_502_and_never_moved(parts: list[bytes]) -> None:
    async with pooled(streaming(*parts, closes=False), good) as pool:
        status, body = await pool.ask(STREAM_BODY)
        assert pool.asked() == {"a": 1, "b": 0}
    assert (status, msgspec.json.decode(body)["error"]["type"]) == (502, "api_error")
    assert pool.last["cause"] == "upstream_cut"


@pytest.mark.parametrize("closes", [True, False], ids=["ends", "is cut"])
@pytest.mark.parametrize("part", [b"", START[:50], b": hel"], ids=len)
async def test_without_a_pool_a_stream_that_breaks_before_its_first_event_is_a_502(
    part: bytes,
    closes: bool,  # noqa: FBT001 - a case
) -> None:
    parts = [part] if part else []
    async with gateway_before(streaming(*parts, closes=closes)) as (upstream, gateway):
        reply = await ask(gateway)
        assert (reply.status, reply.kind, reply.whole) == (502, "api_error", True)
        assert len(upstream.requests) == 1
    assert gateway.log[0]["cause"] == "upstream_cut"


async def test_without_a_pool_it_is_passed_on_with_its_first_event() -> None:
    async with gateway_before(streaming(START, closes=False)) as (_, gateway):
        reply = await ask(gateway)
    assert (reply.status, reply.ending) == (200, "error event")


async def test_silence_before_the_first_event_is_a_504() -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD)
        await upstream.until_closed()

    async with gateway_before(script, timeouts=Timeouts(idle_s=0.1)) as (_, gateway):
        reply = await ask(gateway)
    assert (reply.status, reply.kind) == (504, "timeout_error")


@pytest.mark.parametrize("parts", [[], [START], [START, PING]], ids=len)
async def test_what_is_held_goes_out_in_time_and_is_pinged(
    parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt that is thought over for a minute before its first delta."""
    assert deadlines.OPENING_S <= 5
    monkeypatch.setattr("proxy.deadlines.OPENING_S", 0.05)
    may_go_on = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + b"".join(map(chunk, parts)))
        await may_go_on.wait()
        rest = STREAM.removeprefix(START) if parts else STREAM
        await upstream.send(chunk(rest) + chunk(b""))

    async with (
        pooled(script, good, timeouts=Timeouts(ping_after_s=0.1)) as pool,
        pool.gateway.post(STREAM_BODY) as response,
    ):
        assert response.status == 200
        seen = b""
        while PING * 2 not in seen:
            seen += await response.content.readany()
        may_go_on.set()
        seen += await response.read()
        assert pool.asked() == {"a": 1, "b": 0}
    assert seen.replace(PING, b"") == GOOD.replace(PING, b"")


async def test_with_one_member_the_first_event_goes_out_at_once() -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(START))
        await upstream.until_closed()

    async with pooled(script, members=ALONE) as pool, pool.gateway.post(STREAM_BODY) as response:
        assert await response.content.readuntil(b"\n\n") == START.replace(
            b"claude-sonnet-4-6", MODEL.encode()
        )


async def test_what_is_held_is_bounded() -> None:
    pings = PING * 3000
    async with pooled(streaming(START + pings, failing()), good) as pool:
        assert (await stream(pool)).endswith(failing())
        assert pool.asked() == {"a": 1, "b": 0}


async def test_a_compressed_stream_is_passed_on_as_it_is() -> None:
    head = SSE_HEAD[:-2] + b"content-encoding: gzip\r\n\r\n"
    packed = gzip.compress(START + failing())
    async with pooled(streaming(packed, head=head), good) as pool:
        assert await stream(pool) == packed
        assert pool.asked() == {"a": 1, "b": 0}


async def test_when_nobody_is_left_the_error_is_passed_on_as_it_came() -> None:
    async with pooled(streaming(START + failing()), members=ALONE) as pool:
        assert await stream(pool) == START.replace(b"claude-sonnet-4-6", MODEL.encode()) + failing()
    async with pooled(streaming(START + failing()), error(b"404 Not Found")) as pool:
        assert await stream(pool) == START.replace(b"claude-sonnet-4-6", MODEL.encode()) + failing()
        assert pool.asked() == {"a": 1, "b": 1}
    assert (pool.last["upstream"], pool.last["cause"]) == ("a", "upstream_error")
    assert pool.last["usage"]["input_tokens"] == 11


async def test_the_kindest_refusal_goes_before_a_stream_that_failed() -> None:
    limited = error(b"429 Too Many", b"retry-after: 30")
    async with pooled(limited, streaming(START + failing())) as pool:
        assert (await pool.ask(STREAM_BODY))[0] == 429
        assert pool.asked() == {"a": 1, "b": 1}
    assert "usage" not in pool.last


async def test_streams_that_always_fail_cool_their_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "proxy.upstreams.marks")
    async with pooled(streaming(START, CONTENT, failing()), good) as pool:
        for _ in range(4):
            await stream(pool)
        assert pool.asked() == {"a": 3, "b": 1}
    (told,) = caplog.records
    assert "upstream a cools 5" in told.getMessage() or "upstream a cools 4" in told.getMessage()


async def test_an_early_head_and_pings_do_not_keep_a_request_from_moving() -> None:
    """The status is spent, but nothing of an upstream's answer has gone out."""

    was_pinged = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await was_pinged.wait()
        await streaming(START, failing())(upstream)

    timeouts = Timeouts(ping_after_s=0.05)
    async with (
        pooled(script, good, early_head=True, timeouts=timeouts) as pool,
        pool.gateway.post(STREAM_BODY) as response,
    ):
        assert response.status == 200
        body = await response.content.readuntil(b"\n\n")
        was_pinged.set()
        body += await response.read()
        assert pool.asked() == {"a": 1, "b": 1}
    assert body.replace(PING, b"") == GOOD.replace(PING, b"")
    assert body.startswith(PING)


async def test_each_delta_comes_as_it_is_also_behind_a_held_opening() -> None:
    async with pooled(streaming(*EVENTS), good) as pool:
        assert await stream(pool) == GOOD
        assert (await pool.ask(BODY))[0] == 200
    assert pool.last["upstream"] == "a"
