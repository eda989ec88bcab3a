"""A client behind a relay of TCP that passes on the end of each direction by itself, as Docker's does for its ports."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from tests.support.client import request
from tests.support.gateways import Running, config_for, running
from tests.support.raw import UpstreamSide, raw_upstream


async def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction; learn that the target is gone only by writing to it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, 1 << 16):
            await loop.sock_sendall(target, data)
        target.shutdown(socket.SHUT_WR)


@contextlib.asynccontextmanager
async def relay(gateway: Running) -> AsyncIterator[tuple[str, int]]:
    """Relay one connection."""
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        client, _ = await loop.sock_accept(listening)
        with client, socket.socket() as server:
            client.setblocking(False)
            server.setblocking(False)
            await loop.sock_connect(server, (gateway.host, gateway.port))
            await asyncio.gather(copy(client, server), copy(server, client))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        serving = asyncio.create_task(serve())
        try:
            yield listening.getsockname()
        finally:
            serving.cancel()
            await asyncio.wait((serving,))


async def test_a_client_that_leaves_closes_its_upstream_call() -> None:
    gone = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()
        gone.set()

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url)) as gateway,
        relay(gateway) as (host, port),
    ):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(request())
        await upstream.arrived.wait()
        writer.close()
        async with asyncio.timeout(5):
            await gone.wait()
    assert gateway.log[0]["cause"] == "client_closed"
