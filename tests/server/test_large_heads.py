"""A head may have 64 kB, in whatever pieces it comes; so may trailers; and little waits behind a request."""

import asyncio
import contextlib
import gc
import socket

import pytest

from proxy import Model
from proxy.server.connection import Connection
from tests.support.client import Client, answers, connected, request
from tests.support.gateways import BODY, KEY, Running, config_for, running
from tests.support.raw import RawUpstream, chunk
from tests.support.refusals import raw_refusal

MAX_BYTES = 1 << 16
FIELD = b"x-%04d: %s\r\n"
CHUNKED = b"transfer-encoding: chunked"


def fields(count: int, value_bytes: int) -> bytes:
    return b"".join(FIELD % (number, b"a" * value_bytes) for number in range(count))


def with_fields(more: bytes) -> bytes:
    return request().replace(b"content-type:", more + b"content-type:", 1)


async def sent_in_pieces(client: Client, data: bytes, piece_bytes: int) -> None:
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(data), piece_bytes):
            await client.send(data[start : start + piece_bytes])
            await asyncio.sleep(0)


@pytest.mark.parametrize("piece_bytes", [1 << 20, 1000], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    "large",
    [fields(100, 700), fields(9, 7500), b"x-a: " + b"a" * 8500 + b"\r\n", fields(140, 1)],
    ids=["many fields", "long fields", "too long a field", "too many fields"],
)
async def test_a_head_that_is_too_large_is_431_and_closed(
    gateway: Running, upstream: RawUpstream, large: bytes, piece_bytes: int
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        sending = asyncio.create_task(sent_in_pieces(client, with_fields(large), piece_bytes))
        raw_refusal(await client.answer(), 431, "invalid_request_error")
        await sending
        assert await client.until_closed() == b""
    assert not upstream.requests
    (line,) = gateway.log
    assert (line["status"], line["cause"]) == (431, "invalid_request")


@pytest.mark.parametrize("piece_bytes", [1 << 20, 1000], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    "before", [b"", request(), request() * 3], ids=["alone", "second", "fourth"]
)
async def test_a_head_that_never_ends_is_431_behind_whatever_came_before(
    gateway: Running, before: bytes, piece_bytes: int
) -> None:
    data = before + with_fields(fields(120, 4000)).partition(b"\r\ncontent-type")[0]
    async with connected(gateway.host, gateway.port) as client:
        sending = asyncio.create_task(sent_in_pieces(client, data, piece_bytes))
        answered = answers(await client.until_closed())
        await sending
    assert [each.status for each in answered] == [200] * (len(answered) - 1) + [431]
    assert len(answered) - 1 == before.count(b"HTTP/1.1")


@pytest.mark.parametrize("piece_bytes", [1 << 20, 1000], ids=["at once", "in pieces"])
async def test_a_head_of_60_kb_is_served(
    gateway: Running, upstream: RawUpstream, piece_bytes: int
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(2):
            await sent_in_pieces(client, with_fields(fields(15, 4000)), piece_bytes)
            assert (await client.answer()).status == 200
    assert len(upstream.requests) == 2


LINES = {
    "trailers": chunk(BODY) + b"0\r\n" + fields(120, 4000),
    "a chunk extension": chunk(BODY) + b"5;" + b"a" * 400_000,
    "a chunk extension before the body": b"5;" + b"a" * 400_000,
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
@pytest.mark.parametrize("key", [KEY, "ar-another"], ids=["read", "not read"])
async def test_lines_inside_a_body_that_never_end_are_refused(
    gateway: Running, upstream: RawUpstream, lines: bytes, key: str
) -> None:
    data = request(CHUNKED, body=lines, length=False).replace(KEY.encode(), key.encode())
    async with connected(gateway.host, gateway.port) as client:
        sending = asyncio.create_task(sent_in_pieces(client, data, 8000))
        answered = answers(await client.until_closed())
        await sending
    assert [each.status for each in answered] == [400 if key == KEY else 401]
    assert not upstream.requests


async def test_a_body_in_chunks_of_one_byte_is_served(gateway: Running) -> None:
    """Its framing is far larger than what is allowed for lines that do not end; but these do."""
    body = BODY[:-1] + b" " * 20_000 + BODY[-1:]
    framed = b"".join(chunk(body[at : at + 1]) for at in range(len(body))) + chunk(b"")
    async with connected(gateway.host, gateway.port) as client:
        await sent_in_pieces(client, request(CHUNKED, body=framed, length=False), 3000)
        assert (await client.answer()).status == 200


async def is_stuck(gateway: Running, answered: int) -> bool:
    """Wait until so many responses are written, or one waits for its reader; return whether that is so."""
    served: list[Connection] = []
    looks = 0
    while len(gateway.log) < answered and looks < 1000:
        served = served or [
            each for each in gc.get_objects() if type(each) is Connection and each.transport
        ]
        # What the kernel takes, it takes at once: a thousand turns later, nobody has read.
        looks = looks + 1 if any(each._paused for each in served) else 0
        await asyncio.sleep(0)
    return len(gateway.log) < answered


async def test_what_waits_behind_an_unread_response_is_bounded(upstream: RawUpstream) -> None:
    """Many requests with bodies of half a megabyte, which need no key, behind responses that nobody reads."""
    models = tuple(Model(id=f"anthropic/m-{n}", upstream="first") for n in range(500))
    listing = request(path=b"/v1/models?limit=1000", body=b"").replace(b"POST", b"GET", 1)
    refused = request(body=b"a" * 500_000).replace(KEY.encode(), b"ar-another")
    loop, taken_bytes = asyncio.get_running_loop(), 0
    async with running(config_for(upstream.url, models=models)) as gateway:
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(sock, (gateway.host, gateway.port))
            await loop.sock_sendall(sock, listing)
            asked = 1
            while not await is_stuck(gateway, asked):
                await loop.sock_sendall(sock, listing)
                asked += 1
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(1):
                        await loop.sock_sendall(sock, refused)
                    taken_bytes += len(refused)
    # The kernel's buffers take megabytes, too.
    assert taken_bytes < 12_000_000
