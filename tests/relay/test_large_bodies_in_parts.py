"""A large body goes out as its upstream takes it: what waits to leave is its client's bytes, and no copy of them."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from tests.relay.settled import upstream_protocols
from tests.support import certificates
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY, config_for, running
from tests.support.raw import answer

# More than kernels take; no part is like another.
LARGE = BODY.replace(b"say hi", b"".join(b"%0100d" % number for number in range(120_000)))
MOST_KEPT_BYTES = 1 << 20


@contextlib.asynccontextmanager
async def upstream_that_reads_later(
    go: asyncio.Event, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Listen; of each connection nothing is read until `go`, then requests, which are kept and answered."""
    bodies: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
        await go.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                bodies.append(await reader.readexactly(length))
                writer.write(answer())
        writer.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    port = listening.getsockname()[1]
    server = await asyncio.start_server(handle, sock=listening, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://localhost:{port}", bodies
    finally:
        go.set()
        server.close()
        for writer in writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_of_a_large_body_little_is_kept_beside_it_and_all_arrives(scheme: str) -> None:
    """A transport of TLS would keep all of it encrypted, and its buffer as long as the connection."""
    certificates.trust()
    go = asyncio.Event()
    tls = certificates.server_context() if scheme == "https" else None
    async with (
        upstream_that_reads_later(go, tls) as (url, bodies),
        running(config_for(url)) as gateway,
    ):
        asking = asyncio.create_task(ask(gateway, request(body=LARGE)))
        async with asyncio.timeout(5):
            while not (found := [each for each in upstream_protocols() if each._paused]):  # noqa: ASYNC110 - inside aiohttp, no event
                await asyncio.sleep(0.01)
        (protocol,) = found
        assert protocol.transport is not None
        assert protocol.transport.get_write_buffer_size() < MOST_KEPT_BYTES
        assert not asking.done()
        go.set()
        assert (await asking).status == 200
        assert (await ask(gateway, request(body=LARGE))).status == 200
    assert len(bodies) == 2
    assert len({*map(len, bodies)}) == len({*bodies}) == 1
    assert bodies[0].endswith(LARGE[-11_900_000:])


async def test_who_leaves_while_a_large_body_goes_out_leaves_nothing_of_it() -> None:
    go = asyncio.Event()
    async with (
        upstream_that_reads_later(go, None) as (url, bodies),
        running(config_for(url)) as gateway,
    ):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=LARGE))
            async with asyncio.timeout(5):
                while not any(each._paused for each in upstream_protocols()):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)
            client.leave()
        await gateway.gateway.deadlines.idle()
        async with asyncio.timeout(5):
            while upstream_protocols():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        go.set()
        assert (await ask(gateway, request(body=BODY))).status == 200
    assert [len(body) for body in bodies] == [len(body) for body in bodies if len(body) < 1000]
