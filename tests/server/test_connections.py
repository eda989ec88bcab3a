"""Who may connect: idle connections give way, busy ones never; what is too many is refused, and heard of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy import Limits, Log, Timeouts
from tests.support.client import Client, connected, request
from tests.support.gateways import KEY, Running, config_for, running
from tests.support.raw import (
    SSE_HEAD,
    STREAM,
    RawUpstream,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
from tests.support.refusals import raw_refusal

PROBE = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"


async def opened(stack: contextlib.AsyncExitStack, gateway: Running) -> Client:
    return await stack.enter_async_context(connected(gateway.host, gateway.port))


async def test_the_connection_that_is_idle_longest_gives_way(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_connections=3))
    async with running(config) as gateway, contextlib.AsyncExitStack() as stack:
        first, second, third = [await opened(stack, gateway) for _ in range(3)]
        for client in (first, second, third, first):
            await client.send(request())
            assert (await client.answer()).status == 200
        fourth = await opened(stack, gateway)
        await fourth.send(request())
        assert (await fourth.answer()).status == 200
        assert await second.until_closed() == b""
        for client in (first, third, fourth):
            await client.send(request())
            assert (await client.answer()).status == 200


async def test_connections_that_say_nothing_shut_nobody_out(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_connections=5))
    async with running(config) as gateway, contextlib.AsyncExitStack() as stack:
        silent = [await opened(stack, gateway) for _ in range(5)]
        for _ in range(10):
            client = await opened(stack, gateway)
            await client.send(request())
            assert (await client.answer()).status == 200
        for each in silent:
            assert await each.until_closed() == b""


@pytest.mark.parametrize(
    "sent", [request()[:20], request()[:-5], request()], ids=["head", "body", "response"]
)
async def test_a_request_that_is_under_way_never_gives_way_and_one_more_is_refused(
    sent: bytes,
) -> None:
    answering = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await answering.wait()
        await exchange.send(SSE_HEAD + chunk(STREAM) + chunk(b""))

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, limits=Limits(max_connections=2))) as gateway,
        contextlib.AsyncExitStack() as stack,
    ):
        busy = [await opened(stack, gateway) for _ in range(2)]
        for client in busy:
            # What came before shows that it was read.
            await client.send(PROBE)
            assert (await client.answer()).status == 200
            await client.send(PROBE + sent)
            assert (await client.answer()).status == 200
        for _ in range(5):
            async with connected(gateway.host, gateway.port) as third:
                await third.send(request())
                raw_refusal(await third.answer(), 529, "overloaded_error")
                assert await third.until_closed() == b""
        refused = [line for line in gateway.log if line.get("cause") == "too_many_connections"]
        assert [line["status"] for line in refused] == [529] * 5
        answering.set()
        for client in busy:
            await client.send(request()[len(sent) :])
            assert b"message_stop" in await client.until(b"0\r\n\r\n")
        late = await opened(stack, gateway)
        await late.send(request())
        assert b"message_stop" in await late.until(b"0\r\n\r\n")


@contextlib.asynccontextmanager
async def one_too_many(limits: Limits, **changes: Any) -> AsyncIterator[tuple[Running, Client]]:
    """Give a gateway whose one connection waits for its response until the end, and a further connection."""
    answering = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await answering.wait()
        await exchange.send(answer())

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, limits=limits, **changes)) as gateway,
        connected(gateway.host, gateway.port) as busy,
    ):
        await busy.send(request())
        await upstream.arrived.wait()
        async with connected(gateway.host, gateway.port) as further:
            yield gateway, further
        answering.set()
        assert (await busy.answer()).status == 200


@pytest.mark.parametrize(
    "limits", [Limits(max_connections=1), Limits(max_connections_per_client=1)], ids=["all", "one"]
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@pytest.mark.parametrize("path", [b"/healthz", b"/api/healthz", b"/healthz?at=1"])
async def test_a_full_gateway_is_alive(limits: Limits, method: bytes, path: bytes) -> None:
    """A supervisor that restarts what is not alive would cut every stream of the busiest gateway."""
    async with one_too_many(limits, log=Log(probes=True)) as (gateway, prober):
        await prober.send(b"%b %b HTTP/1.1\r\nHost: gateway\r\n\r\n" % (method, path))
        head, _, body = (await prober.until_closed()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
        assert body == (b"" if method == b"HEAD" else b'{"status":"ok"}')
        assert b"\r\nContent-Length: 15" in head
        line = gateway.log[-1]
        assert (line["method"], line["path"]) == (method.decode(), path.decode().partition("?")[0])
        assert (line["status"], line["bytes_out"]) == (200, len(body))
        assert "cause" not in line
        assert line["request_id"].encode() in head


@pytest.mark.parametrize(
    "line",
    [
        *(b"GET /readyz", b"OPTIONS /", b"GET /", b"POST /healthz", b"GET /healthzz"),
        *(b"GET /other/healthz", b"GET /healthz/", b" GET /healthz", b"GET /v1/messages?/healthz"),
    ],
)
async def test_a_full_gateway_is_ready_for_nothing_else(line: bytes) -> None:
    async with one_too_many(Limits(max_connections=1)) as (_, other):
        await other.send(line + b" HTTP/1.1\r\nHost: gateway\r\n\r\n")
        raw_refusal(await other.answer(), 529, "overloaded_error")


async def test_a_burst_of_connections_does_not_exceed_the_bound(upstream: RawUpstream) -> None:
    async def asked(client: Client) -> int | None:
        """Ask; None when the connection had to give way to another of the burst."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await client.send(request())
            return (await client.answer()).status
        return None

    config = config_for(upstream.url, limits=Limits(max_connections=3))
    async with running(config) as gateway, contextlib.AsyncExitStack() as stack:
        clients = await asyncio.gather(*(opened(stack, gateway) for _ in range(20)))
        for client in clients:
            assert await asked(client) in {200, 529, None}
        # By now the burst is over: whoever is left stays.
        assert [await asked(client) for client in clients].count(200) == 3


async def test_a_client_may_have_so_many_connections_and_no_more(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_connections_per_client=2))
    async with running(config) as gateway, contextlib.AsyncExitStack() as stack:
        first, second = [await opened(stack, gateway) for _ in range(2)]
        for client in (first, second):
            await client.send(request())
            assert (await client.answer()).status == 200
        third = await opened(stack, gateway)
        await third.send(request())
        raw_refusal(await third.answer(), 529, "overloaded_error")
        second.leave()
        status = 529
        async with asyncio.timeout(5):
            while status == 529:  # until the gateway has seen the second one leave
                async with connected(gateway.host, gateway.port) as fourth:
                    await fourth.send(request())
                    status = (await fourth.answer()).status
        assert status == 200


async def test_a_refused_client_that_says_nothing_is_closed(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_connections_per_client=1))
    async with (
        running(config) as gateway,
        connected(gateway.host, gateway.port) as first,
        connected(gateway.host, gateway.port) as second,
    ):
        assert await second.until_closed() == b""
        await first.send(request())
        assert (await first.answer()).status == 200


async def test_beyond_the_refusals_that_fit_a_connection_is_just_closed(
    upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.listener._REFUSALS_AT_ONCE", 0)
    config = config_for(upstream.url, limits=Limits(max_connections_per_client=1))
    async with (
        running(config) as gateway,
        connected(gateway.host, gateway.port),
        connected(gateway.host, gateway.port) as second,
    ):
        assert await second.until_closed() == b""
    assert gateway.log == []


@pytest.mark.parametrize(
    ("sent", "status", "kept"),
    [
        (PROBE, 200, False),
        (request().replace(KEY.encode(), b"ar-another"), 401, False),
        (request(path=b"/nowhere"), 404, False),
        (request(), 200, True),
    ],
    ids=["health", "unknown key", "unknown path", "key"],
)
async def test_only_who_has_shown_a_key_is_kept_long_while_idle(
    upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch, *, sent: bytes, status: int, kept: bool
) -> None:
    monkeypatch.setattr("proxy.server.connection._STRANGER_IDLE_S", 0.2)
    config = config_for(upstream.url, timeouts=Timeouts(client_idle_s=2 if kept else 60))
    async with (
        running(config) as gateway,
        connected(gateway.host, gateway.port) as client,
        connected(gateway.host, gateway.port) as witness,
    ):
        await client.send(sent)
        assert (await client.answer()).status == status
        if kept:
            # The witness sends later, and is closed before: by then the other would have been, too.
            await witness.send(PROBE)
            await witness.answer()
            assert await witness.until_closed() == b""
            await client.send(request())
            assert (await client.answer()).status == 200
        assert await client.until_closed() == b""


async def test_blank_lines_do_not_keep_a_connection(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, timeouts=Timeouts(client_idle_s=0.2))
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        await client.send(request())
        assert (await client.answer()).status == 200

        async def blank() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"\r\n\r\n")
                    await asyncio.sleep(0.01)  # the pace of the client is the test

        sending = asyncio.create_task(blank())
        assert await client.until_closed() == b""
        sending.cancel()
