"""Whatever a client does is at most one line in the access log, and none anywhere else."""

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from tests.support.client import answers, connected, request
from tests.support.gateways import BODY, KEY, STREAM_BODY, Running, config_for, running
from tests.support.raw import SSE_HEAD, STREAM, UpstreamSide, answer, chunk, raw_upstream, reset
from tests.support.scripts import gateway_before

CHUNKED = b"transfer-encoding: chunked"
CHUNKS = request(CHUNKED, body=chunk(BODY) + chunk(b""), length=False)
BROKEN = request(CHUNKED, body=b"5\r\nabcde\r\nzz\r\n", length=False)
REFUSED = BROKEN.replace(KEY.encode(), b"ar-another")
GET = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
SEEDS = (
    *(request(), request(body=STREAM_BODY), CHUNKS, BROKEN, REFUSED, request() * 3, GET * 5),
    *(request() + CHUNKS + request(body=STREAM_BODY), request(b"expect: 100-continue")),
    request().replace(b"HTTP/1.1", b"HTTP/1.0"),
)
SPLICED = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b"0\r\n\r\n", b"zz\r\n", CHUNKED + b"\r\n"),
    *(
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"expect: 100-continue\r\n",
        b"content-length: 5\r\n",
    ),
)


@pytest.fixture
async def gateway(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    """Return a gateway that has logged nothing but access lines when it ends, and which head came too slowly."""

    async def script(exchange: UpstreamSide) -> None:
        stream = SSE_HEAD + chunk(STREAM) + chunk(b"")
        await exchange.send(stream if b'"stream"' in exchange.body else answer())

    unnoticed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unnoticed.append(context))
    caplog.set_level(logging.INFO)
    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as started:
        yield started
    logged = [each for each in caplog.get_records("call") if each.levelno > logging.INFO]
    assert [each.getMessage() for each in logged] == []
    assert unnoticed == []


@pytest.mark.parametrize("first", [b"5\r\nabcde\r\n", b""], ids=["behind a chunk", "at once"])
async def test_a_chunk_that_breaks_while_its_request_is_refused(
    gateway: Running, first: bytes
) -> None:
    sent = request(CHUNKED, body=first, length=False).replace(KEY.encode(), b"ar-another")
    async with connected(gateway.host, gateway.port) as client:
        await client.send(sent)
        assert (await client.answer()).status == 401
        await client.send(b"zz\r\n")
        assert await client.until_closed() == b""
    assert [line["status"] for line in gateway.log] == [401]


async def test_a_client_that_leaves_its_pipelined_requests(gateway: Running) -> None:
    for count in range(1, 30):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(GET * count + REFUSED)
            client.leave()


async def test_a_client_that_leaves_as_its_answer_becomes_ready(gateway: Running) -> None:
    rng = random.Random(7)

    async def leave_soon(data: bytes) -> None:
        _, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(data)
        await asyncio.sleep(rng.random() * 0.01)  # somewhere around the answer's first byte
        reset(writer)
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    for _ in range(15):
        await asyncio.gather(*(leave_soon(rng.choice(SEEDS)) for _ in range(20)))
    for line in gateway.log:
        assert line.get("cause") in {None, "client_closed", "invalid_request", "unauthenticated"}


async def test_a_client_that_resets_just_before_its_answer_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reset is known when the answer's first byte is to be written, and the request not cancelled yet."""
    caplog.set_level(logging.INFO)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ended = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        # Both before the event loop looks again, which then sees both at once.
        exchange.writer.write(SSE_HEAD + chunk(STREAM))
        sock.close()
        await exchange.until_closed()
        ended.set()

    async with gateway_before(script) as (_, gateway):
        sock.connect((gateway.host, gateway.port))
        sock.send(request(body=STREAM_BODY))
        async with asyncio.timeout(5):
            await ended.wait()
        await gateway.gateway.deadlines.idle()
    assert [line["cause"] for line in gateway.log] == ["client_closed"]
    logged = [each for each in caplog.get_records("call") if each.levelno > logging.INFO]
    assert [each.getMessage() for each in logged] == []


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0:
                changed[at : at + 1] = rng.randbytes(1)
            case 1:
                del changed[at : at + rng.randrange(1, 20)]
            case 2:
                changed[at:at] = rng.choice(SPLICED)
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(1, 8))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_requests_are_answered_or_closed(gateway: Running, seed: int) -> None:
    rng = random.Random(seed)

    async def send(data: bytes, kind: str) -> None:
        async with connected(gateway.host, gateway.port) as client:
            with contextlib.suppress(ConnectionError):
                await client.send(data)
            if kind == "reads":
                with contextlib.suppress(
                    TimeoutError, ConnectionError, asyncio.IncompleteReadError
                ):
                    async with asyncio.timeout(0.05):
                        await client.answer()
            client.leave()

    for _ in range(10):
        sent = [mutated(rng, rng.choice(SEEDS)) for _ in range(20)]
        await asyncio.gather(*(send(each, rng.choice(["reads", "leaves"])) for each in sent))


async def test_garbage_behind_an_answered_request_is_one_more_line(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200
        await client.send(b"\x00garbage\r\n\r\n" * 10)
        assert [each.status for each in answers(await client.until_closed())] == [400]
    assert [line["status"] for line in gateway.log] == [400]  # what was answered is a probe
