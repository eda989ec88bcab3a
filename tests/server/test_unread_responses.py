"""A client that reads nothing is disconnected after `idle_s`, whoever made what it does not read."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from proxy import Model, Timeouts
from proxy.exchange import Phase
from tests.support.client import request
from tests.support.gateways import KEY, Running, config_for, running
from tests.support.raw import RawUpstream, UpstreamSide, answer, raw_upstream

IDLE_S = 0.3
GET = b"GET %s HTTP/1.1\r\nHost: gateway\r\nx-api-key: %s\r\nanthropic-version: 2023-06-01\r\n\r\n"
SENT = {
    "health checks": GET % (b"/healthz", b""),
    "refusals": GET % (b"/v1/models", b"ar-another"),
    "model lists": GET % (b"/v1/models?limit=1000", KEY.encode()),
}


@contextlib.asynccontextmanager
async def connected(gateway: Running) -> AsyncIterator[socket.socket]:
    """Connect a client whose kernel takes little that is not read."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(sock, (gateway.host, gateway.port))
        yield sock


async def flood(sock: socket.socket, sent: bytes) -> None:
    """Send the same again and again, until the other side is gone."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, sent)


@pytest.fixture
async def gateway(upstream: RawUpstream) -> AsyncIterator[Running]:
    """Return a gateway with many models that soon tires of clients."""
    config = config_for(
        upstream.url,
        models=tuple(Model(id=f"anthropic/m-{n}", upstream="first") for n in range(500)),
        timeouts=Timeouts(idle_s=IDLE_S),
    )
    async with running(config) as started:
        yield started


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
async def test_a_client_that_reads_no_response_is_disconnected(
    gateway: Running, sent: bytes
) -> None:
    async with connected(gateway) as sock, asyncio.timeout(60):
        await flood(sock, sent * 100)


async def test_of_a_client_that_does_not_read_no_further_request_is_sent_on() -> None:
    """Short answers are written at once: they would pile up here, as many as it asks for."""
    count = 100

    async def script(side: UpstreamSide) -> None:
        await side.send(answer(b'{"text":"%b"}' % (b"x" * 200_000)))

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        async with connected(gateway) as sock, asyncio.timeout(20):
            await asyncio.get_running_loop().sock_sendall(sock, request() * count)
            while not any(
                each.phase is Phase.CLIENT for each in gateway.gateway.deadlines.in_flight
            ):
                assert len(upstream.requests) < count
                await asyncio.sleep(0.01)  # that it waits for its client has no event
        assert len(upstream.requests) < count


async def test_a_client_that_reads_slowly_is_kept(gateway: Running) -> None:
    """Far more waits for it, for far longer than `idle_s`; but it reads."""
    loop, count, received = asyncio.get_running_loop(), 200, bytearray()
    last = SENT["model lists"].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with connected(gateway) as sock, asyncio.timeout(60):
        sending = asyncio.create_task(loop.sock_sendall(sock, SENT["model lists"] * count + last))
        ends_at = loop.time() + 4 * IDLE_S
        while part := await loop.sock_recv(sock, 1 << 16):
            received += part
            if loop.time() < ends_at:
                await asyncio.sleep(IDLE_S / 10)  # the pace of the client is the test
        await sending
    assert received.count(b"HTTP/1.1 200 OK") == count + 1
