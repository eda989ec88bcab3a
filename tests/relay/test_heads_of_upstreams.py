"""The head of an upstream's response: how much of it is taken, what of it is adopted, and what crosses."""

import logging
import re

import pytest

from tests.support.client import Response, ask, request
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for, running
from tests.support.raw import MESSAGE, SSE_HEAD, STREAM, UpstreamSide, answer, chunk, raw_upstream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def answered(data: bytes, body: bytes = BODY) -> tuple[Response, Running]:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(data)

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        return await ask(gateway, request(body=body)), gateway


def lines(count: int, size: int) -> list[bytes]:
    return [b"x-%04d: %b" % (number, b"v" * size) for number in range(count)]


@pytest.mark.parametrize(("count", "size"), [(1, 65_000), (900, 20), (129, 20), (30, 9_000)])
async def test_a_large_head_of_a_served_answer_reaches_the_client(count: int, size: int) -> None:
    reply, gateway = await answered(answer(MESSAGE, b"200 OK", *lines(count, size)))
    assert reply.status == 200
    assert [len(value) for name, value in reply.headers.items() if name.startswith("x-")] == [
        size
    ] * count
    assert "cause" not in gateway.log[0]


EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
EARLY_LARGE = EARLY.replace(b"</x>", b"<%b>" % (b"x" * 65_000)) * 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (answer(MESSAGE, b"200 OK", *lines(1, 66_000)), "a line of its head is longer than 65536"),
        (answer(MESSAGE, b"200 OK", b"n" * 66_000 + b": 1"), "a line of its head is longer than"),
        (answer(MESSAGE, b"200 " + b"O" * 66_000), "a line of its head is longer than 65536 bytes"),
        (answer(MESSAGE, b"200 OK", *lines(1_001, 1)), "its head has more than 1000 headers"),
        (answer(MESSAGE, b"2x0 OK"), "what it sends is not HTTP"),
    ],
    ids=["value", "name", "reason", "headers", "status"],
)
async def test_the_log_says_what_is_too_long_in_a_head(
    data: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply, gateway = await answered(data)
    assert (reply.status, gateway.log[0]["cause"]) == (502, "upstream_garbage")
    (line,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert words in line
    assert line.startswith(gateway.log[0]["request_id"])
    assert "vvv" not in line


@pytest.mark.parametrize(("count", "status"), [(1, 200), (16, 200), (17, 502), (5_000, 502)])
async def test_sixteen_interim_heads_are_taken_and_no_more(count: int, status: int) -> None:
    reply, gateway = await answered(EARLY * count + answer())
    assert reply.status == status
    assert gateway.log[0].get("cause") == (None if status == 200 else "upstream_garbage")


@pytest.mark.parametrize(
    "data",
    [answer(MESSAGE, b"200 OK", *lines(6, 60_000)), EARLY_LARGE * 3 + answer()],
    ids=["lines", "heads"],
)
async def test_the_log_says_when_a_head_is_too_long_as_a_whole(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reply, gateway = await answered(data)
    assert (reply.status, gateway.log[0]["cause"]) == (502, "upstream_garbage")
    (line,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "its head, with the interim ones before it, is longer than 327680 bytes" in line


PIECES = {
    "lines of a head": (HEAD, b"x-more: %b\r\n" % (b"v" * 60_000)),
    "interim heads": (b"", EARLY_LARGE),
    "blank lines": (b"", b"\r\n" * 30_000),
    "trailers": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(MESSAGE) + b"0\r\n",
        b"x-more: %b\r\n" % (b"v" * 60_000),
    ),
    "a chunk's extension": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"9;",
        b"v" * 60_000,
    ),
}


@pytest.mark.parametrize(("begins", "goes_on"), PIECES.values(), ids=PIECES)
async def test_what_brings_no_byte_of_a_body_without_end_is_broken_off(
    begins: bytes, goes_on: bytes
) -> None:
    sent = 0

    async def script(exchange: UpstreamSide) -> None:
        nonlocal sent
        await exchange.send(begins)
        while True:  # until the connection is closed
            await exchange.send(goes_on)
            sent += len(goes_on)

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        reply = await ask(gateway, request(body=BODY))
        await upstream.all_closed.wait()
    assert reply.status == 502
    # With what is under way in buffers of kernels.
    assert sent < 64_000_000


GOOD_IDS = [b"req_up", b"!~", b"x" * 100, b"a:b/c=d"]
BAD_IDS = [b"", b"a b", b"a\tb", b"req_\x01", b"\x7f", b"x" * 101, b"req_\xc3\xa9", b"req_\xff"]


@pytest.mark.parametrize("stream", [False, True], ids=["message", "stream"])
@pytest.mark.parametrize("given", GOOD_IDS + BAD_IDS, ids=repr)
async def test_the_upstreams_id_is_taken_when_it_is_visible_ascii_and_short(
    given: bytes, *, stream: bool
) -> None:
    data = answer(MESSAGE, b"200 OK", b"request-id: " + given)
    if stream:
        data = SSE_HEAD.replace(b"req_up", given) + chunk(STREAM) + chunk(b"")
    reply, gateway = await answered(data, STREAM_BODY if stream else BODY)
    (seen,) = reply.values("request-id")
    assert seen == gateway.log[0]["request_id"]
    if given in GOOD_IDS:
        assert seen.encode() == given
    else:
        assert re.fullmatch("req_[0-9a-f]{28}", seen)
    assert reply.status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["message", "stream"])
@pytest.mark.parametrize(
    "line",
    [b"x-odd: a\x01b", b"x-odd: \x00", b"request-id: ok\r\nx-odd: a\x7f", b"content-type: a\x1bb"],
    ids=repr,
)
async def test_a_head_that_cannot_be_sent_on_is_an_error_that_reaches_the_client(
    line: bytes, *, stream: bool
) -> None:
    data = answer(MESSAGE, b"200 OK", line)
    if stream:
        data = SSE_HEAD.replace(b"request-id: req_up", line) + chunk(STREAM) + chunk(b"")
    reply, gateway = await answered(data, STREAM_BODY if stream else BODY)
    assert (reply.status, gateway.log[0]["cause"]) == (502, "upstream_garbage")


@pytest.mark.parametrize("size", [len(MESSAGE), 1 << 20], ids=["small", "large"])
@pytest.mark.parametrize("value", [b"\xfc\xff", b"\xc3\xa9", b"a\xe9b \x80"], ids=repr)
async def test_header_bytes_above_ascii_cross_as_they_came(value: bytes, size: int) -> None:
    body = MESSAGE[:-1] + b" " * (size - len(MESSAGE)) + b"}"
    reply, _ = await answered(answer(body, b"200 F\xfcr", b"x-odd: " + value, b"x-even: 1"))
    assert [each.encode("latin-1") for each in reply.values("x-odd")] == [value]
    assert reply.values("x-even") == ["1"]


@pytest.mark.parametrize("value", [b"\xfc\xff", b"\xc3\xa9"], ids=repr)
async def test_header_bytes_above_ascii_of_a_stream_cross_as_they_came(value: bytes) -> None:
    head = SSE_HEAD.replace(b"request-id", b"x-odd: " + value + b"\r\nrequest-id")
    reply, _ = await answered(head + chunk(STREAM) + chunk(b""), STREAM_BODY)
    assert [each.encode("latin-1") for each in reply.values("x-odd")] == [value]
    assert reply.ending == "message"
