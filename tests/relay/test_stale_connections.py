"""A request that died on a pooled connection without a byte is sent once more, on a fresh one; nothing else is."""

import asyncio

import pytest

from proxy.aiohttp_fast import upstream_connection
from tests.relay.settled import upstream_protocols
from tests.support.client import ask, request
from tests.support.gateways import BODY, config_for, running
from tests.support.raw import (
    RawUpstream,
    Script,
    UpstreamSide,
    answer,
    raw_upstream,
)
from tests.support.scripts import gateway_before

KILLS = ("fin", "rst")


def end(exchange: UpstreamSide, kill: str) -> None:
    if kill == "rst":
        exchange.reset()
    else:
        exchange.writer.close()


def dying(kill: str, *, after: bytes = b"", fatal: int = 1) -> tuple[Script, list[bytes]]:
    """Response the first request; end the connection of the next `fatal` ones after a few bytes, then answer again."""
    bodies: list[bytes] = []

    async def script(exchange: UpstreamSide) -> None:
        bodies.append(exchange.body)
        if 2 <= len(bodies) <= 1 + fatal:
            await exchange.send(after)
            end(exchange, kill)
        else:
            await exchange.send(answer())

    return script, bodies


async def two_requests(upstream: RawUpstream, body: bytes = BODY) -> tuple[int, int]:
    async with running(config_for(upstream.url)) as gateway:
        first = await ask(gateway, request(body=body))
        second = await ask(gateway, request(body=body))
        return first.status, second.status


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("size", [0, 3_000_000], ids=["small", "large"])
async def test_a_stale_connection_costs_one_replay_and_nobody_notices(kill: str, size: int) -> None:
    script, bodies = dying(kill)
    body = BODY[:-1] + b', "padding": "%s"}' % (b"x" * size)
    async with raw_upstream(script) as upstream:
        assert await two_requests(upstream, body) == (200, 200)
        assert upstream.connections == 2
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


@pytest.mark.parametrize("kill", KILLS)
async def test_a_large_request_that_a_stale_connection_never_read_is_replayed(kill: str) -> None:
    """The connection dies in the middle of the body."""
    whole = BODY[:-1] + b', "padding": "%s"}' % (b"x" * 3_000_000)
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            requests += 1
            exchange = UpstreamSide(reader, writer)
            if requests == 2:
                end(exchange, kill)
                break
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await exchange.send(answer())
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 23)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running(config_for(url)) as gateway:
        assert (await ask(gateway, request())).status == 200
        assert (await ask(gateway, request(body=whole))).status == 200
    server.close()
    await server.wait_closed()
    assert requests == 3


@pytest.mark.parametrize("kill", KILLS)
async def test_a_fresh_connection_that_dies_is_not_replayed(kill: str) -> None:
    async def script(exchange: UpstreamSide) -> None:
        end(exchange, kill)

    async with gateway_before(script) as (upstream, gateway):
        assert (await ask(gateway, request())).status == 502
        assert len(upstream.requests) == 1
    assert gateway.log[0]["cause"] == "upstream_cut"


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("after", [b"H", b"HTTP/1.1 200 OK\r\ncontent-ty"], ids=["byte", "head"])
async def test_a_pooled_connection_that_has_spoken_is_not_replayed(kill: str, after: bytes) -> None:
    heard = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        if len(upstream.requests) == 1:
            await exchange.send(answer())
            return
        await exchange.send(after)
        await asyncio.wait_for(heard.wait(), 5)
        end(exchange, kill)

    async with gateway_before(script) as (upstream, gateway):
        assert (await ask(gateway, request())).status == 200
        asking = asyncio.create_task(ask(gateway, request()))
        while not any(getattr(each, "_heard", False) for each in upstream_protocols()):  # noqa: ASYNC110 - inside aiohttp, no event
            await asyncio.sleep(0.001)
        heard.set()
        assert (await asking).status == 502
        assert len(upstream.requests) == 2


@pytest.mark.parametrize("kill", KILLS)
async def test_a_replay_that_dies_too_is_a_502_and_not_sent_a_third_time(kill: str) -> None:
    script, bodies = dying(kill, fatal=5)
    async with raw_upstream(script) as upstream:
        assert await two_requests(upstream) == (200, 502)
    assert len(bodies) == 3


async def test_a_replay_does_not_go_out_on_another_connection_that_may_be_dead() -> None:
    """An upstream that was restarted has let go of all of them, and of none in time."""
    first = asyncio.Barrier(2)
    met: set[asyncio.StreamWriter] = set()

    async def script(exchange: UpstreamSide) -> None:
        if exchange.writer in met:
            exchange.writer.close()
            return
        met.add(exchange.writer)
        if len(met) <= first.parties:
            await first.wait()
        await exchange.send(answer())

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        both = await asyncio.gather(ask(gateway), ask(gateway))
        assert [each.status for each in both] == [200, 200]
        assert (await ask(gateway)).status == 200
        assert (upstream.connections, len(upstream.requests)) == (3, 4)


async def test_a_connection_closed_while_idle_is_not_used() -> None:
    closed = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())
        exchange.writer.close()
        closed.set()

    async with raw_upstream(script) as upstream:
        assert await two_requests(upstream) == (200, 200)
        assert upstream.connections == len(upstream.requests) == 2


async def test_an_answer_nobody_asked_for_reaches_nobody() -> None:
    """Some servers say 408 on an idle connection; a bad one could answer the next client's request beforehand."""
    go = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())
        if len(upstream.requests) == 1:
            await go.wait()
            await exchange.send(answer(b'{"forged": true}', b"408 Request Timeout"))

    async with gateway_before(script) as (upstream, gateway):
        assert (await ask(gateway, request())).status == 200
        go.set()
        await upstream.all_closed.wait()
        reply = await ask(gateway, request())
        assert reply.status == 200
        assert b"forged" not in reply.body
        assert len(upstream.requests) == 2


async def test_a_request_that_was_held_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_connection, "_STALE_WITHIN_S", 0.0)

    async def script(exchange: UpstreamSide) -> None:
        if len(upstream.requests) == 1:
            await exchange.send(answer())
        else:
            exchange.writer.close()

    async with gateway_before(script) as (upstream, gateway):
        for status in (200, 502):
            async with gateway.post() as response:
                assert response.status == status
        assert len(upstream.requests) == 2
