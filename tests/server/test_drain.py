"""The end of a gateway: it refuses what is new, finishes what runs, and cuts what takes too long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from proxy.server.serve import drain
from tests.support.client import Client, connected, request
from tests.support.gateways import HEADERS, STREAM_BODY, Running, config_for, running
from tests.support.raw import EVENTS, SSE_HEAD, RawUpstream, UpstreamSide, chunk
from tests.support.refusals import raw_refusal, refusal
from tests.support.scripts import gateway_before

BEGUN = b"}}}\n\n\r\n"
REST = b"".join(map(chunk, EVENTS[1:])) + chunk(b"")


class Held:
    """An upstream that begins a stream with `first` and goes on when told to."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.go_on = asyncio.Event()

    async def script(self, exchange: UpstreamSide) -> None:
        if self.first:
            await exchange.send(self.first)
        await self.go_on.wait()
        await exchange.send(REST)


@contextlib.asynccontextmanager
async def held_stream(first: bytes, mark: bytes) -> AsyncIterator[tuple[Held, Running, Client]]:
    """Give a gateway with one stream under way, of which the client has read up to `mark`."""
    held = Held(first)
    async with (
        gateway_before(held.script) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(request(body=STREAM_BODY))
        await upstream.arrived.wait()
        if mark:
            await client.until(mark)
        try:
            yield held, gateway, client
        finally:
            held.go_on.set()


async def test_while_draining_the_new_is_refused_and_the_running_finishes() -> None:
    async with held_stream(SSE_HEAD + chunk(EVENTS[0]), BEGUN) as (held, gateway, client):
        async with connected(gateway.host, gateway.port) as idle:
            await idle.send(request(path=b"/nowhere"))
            assert (await idle.answer()).status == 404
            draining = asyncio.create_task(drain(gateway.app, 30, asyncio.Event()))
            await asyncio.sleep(0)
            origin = f"http://{gateway.host}:{gateway.port}"
            async with gateway.session.get(origin + "/readyz") as response:
                assert response.status == 503
            async with gateway.session.get(origin + "/healthz") as response:
                assert response.status == 200
            async with gateway.post() as response:
                await refusal(response, 529, "overloaded_error")
            async with gateway.session.get(gateway.url + "/v1/models", headers=HEADERS) as response:
                await refusal(response, 529, "overloaded_error")
            await idle.send(request())
            raw_refusal(await idle.answer(), 529, "overloaded_error")
            assert await idle.until_closed() == b""
        assert not draining.done()
        held.go_on.set()
        assert b"message_stop" in await client.until(b"0\r\n\r\n")
        async with asyncio.timeout(10):
            await draining


@pytest.mark.parametrize("by_signal", [False, True], ids=["after drain_s", "hurried"])
async def test_a_stream_that_takes_too_long_ends_with_an_error_event(*, by_signal: bool) -> None:
    async with held_stream(SSE_HEAD + chunk(EVENTS[0]), BEGUN) as (_, gateway, client):
        hurry = asyncio.Event()
        draining = asyncio.create_task(drain(gateway.app, 30 if by_signal else 0.05, hurry))
        if by_signal:
            hurry.set()
        rest = await client.until(b"0\r\n\r\n")
        assert b"event: error\n" in rest
        assert b"overloaded_error" in rest
        async with asyncio.timeout(10):
            await draining
    assert [line["cause"] for line in gateway.log] == ["draining"]


async def test_a_stream_cut_inside_an_event_is_aborted() -> None:
    first = SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1][:20])
    async with held_stream(first, EVENTS[1][:20]) as (_, gateway, client):
        await drain(gateway.app, 0.05, asyncio.Event())
        rest = await client.until_closed()
        assert b"event: error" not in rest
        assert not rest.endswith(b"0\r\n\r\n")
    assert [line["cause"] for line in gateway.log] == ["draining"]


async def test_a_request_whose_answer_has_not_begun_is_529() -> None:
    async with held_stream(b"", b"") as (_, gateway, client):
        await drain(gateway.app, 0.05, asyncio.Event())
        raw_refusal(await client.answer(), 529, "overloaded_error")


async def test_a_request_whose_body_is_under_way_is_529(upstream: RawUpstream) -> None:
    async with (
        running(config_for(upstream.url)) as gateway,
        connected(gateway.host, gateway.port) as client,
    ):
        lines = (b"content-length: 10", b"expect: 100-continue")
        await client.send(request(*lines, length=False, body=b""))
        await client.until(b"\r\n\r\n")
        await drain(gateway.app, 0.05, asyncio.Event())
        raw_refusal(await client.answer(), 529, "overloaded_error")


async def test_an_idle_gateway_drains_at_once(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port), asyncio.timeout(10):
        await drain(gateway.app, 30, asyncio.Event())
