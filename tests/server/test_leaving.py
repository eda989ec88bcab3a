"""Before it drains, a gateway serves on for a while: no client behind a balancer meets a closed door."""

import asyncio

from proxy.server.serve import leave
from tests.support.client import connected, request
from tests.support.raw import answer
from tests.support.scripts import gateway_before, says


async def test_whoever_still_comes_is_served_and_comes_again_elsewhere() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        origin = f"http://{gateway.host}:{gateway.port}"
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request())
            assert b"onnection: close" not in await client.until(b'"output_tokens":7}}')
            go = asyncio.Event()
            leaving = asyncio.create_task(leave(gateway.app, 60, go))
            async with asyncio.timeout(10):
                while True:
                    async with gateway.session.get(origin + "/readyz") as response:
                        if response.status == 503:
                            break
            # On the connection from before, and on a new one.
            await client.send(request())
            served = await client.until(b'"output_tokens":7}}')
            assert served.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: close\r\n" in served
            async with gateway.post() as response:
                assert (response.status, response.headers["Connection"]) == (200, "close")
            go.set()
            await leaving


async def test_without_a_time_to_leave_it_does_not() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        await leave(gateway.app, 0, asyncio.Event())
        async with gateway.post() as response:
            assert (response.status, response.headers.get("Connection")) == (200, None)
