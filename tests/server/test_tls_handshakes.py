"""A client that has not agreed upon TLS yet is a connection like any other: counted, bounded, refused, let go."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from proxy import Limits, Timeouts
from proxy.gateway import Connected
from proxy.server.open_files import FileReserve
from tests.server.over_tls import connected, over_tls, served, trusting
from tests.support.client import Client, request
from tests.support.client import connected as silent
from tests.support.gateways import Running, running

# No test waits for it: who is closed by then was closed for something else.
PATIENT = Timeouts(request_head_s=60)


def begun(context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """Begin a handshake; return the client's TLS, what it is to be fed, and what it says."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


def hello() -> bytes:
    return begun(trusting())[2].read()


async def opened(
    stack: contextlib.AsyncExitStack, gateway: Running, count: int, counted: int | None = None
) -> list[Client]:
    """Connect without a word, so many times; return when the gateway counts them, or as many as it may."""
    clients = [
        await stack.enter_async_context(silent(gateway.host, gateway.port)) for _ in range(count)
    ]
    await until_open(gateway, counted or count)
    return clients


def counts(gateway: Running) -> Connected:
    assert gateway.gateway.connected is not None
    return gateway.gateway.connected()


async def until_open(gateway: Running, count: int) -> None:
    """Wait until so many connections are counted."""
    async with asyncio.timeout(10):
        while counts(gateway).open != count:  # noqa: ASYNC110 - it is a count
            await asyncio.sleep(0.01)


async def asked(client: Client) -> int:
    await client.send(request())
    return (await client.answer()).status


@contextlib.asynccontextmanager
async def from_elsewhere(gateway: Running) -> AsyncIterator[Client]:
    """Connect over TLS from another address."""
    reader, writer = await asyncio.open_connection(
        gateway.host,
        gateway.port,
        ssl=trusting(),
        server_hostname="localhost",
        local_addr=("127.0.0.2", 0),
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_who_says_nothing_gives_way_to_who_does() -> None:
    async with (
        served(limits=Limits(max_connections=5), timeouts=PATIENT) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        held = await opened(stack, gateway, 40, counted=5)
        for _ in range(10):
            client = await stack.enter_async_context(connected(gateway))
            assert await asked(client) == 200
        await until_open(gateway, 5)
        assert [await each.until_closed() for each in held] == [b""] * 40


async def test_a_request_under_way_is_not_given_up_for_a_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.server.refusal.LINGER_S", 0.1)
    async with (
        served(limits=Limits(max_connections=1), timeouts=PATIENT) as (gateway, _),
        connected(gateway) as client,
    ):
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n" + request()[:-5])
        assert (await client.answer()).status == 200  # what came before shows that it was read
        async with silent(gateway.host, gateway.port) as second:
            assert await second.until_closed() == b""
        await client.send(request()[-5:])
        assert (await client.answer()).status == 200


async def test_one_client_has_no_more_handshakes_than_connections_and_the_next_is_told_so() -> None:
    limits = Limits(max_connections_per_client=2)
    async with (
        served(limits=limits, timeouts=PATIENT) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        held = await opened(stack, gateway, 2)
        async with connected(gateway) as third:
            assert await asked(third) == 529
            assert not await third.until_closed()
        async with from_elsewhere(gateway) as other:
            assert await asked(other) == 200
        held[0].leave()
        await until_open(gateway, 1)
        async with connected(gateway) as fourth:
            assert await asked(fourth) == 200
            async with connected(gateway) as fifth:  # the fourth is still counted, once
                assert await asked(fifth) == 529


async def test_beyond_the_refusals_that_fit_nobody_is_spoken_to_by_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.server.listener._REFUSALS_AT_ONCE", 0)
    limits = Limits(max_connections_per_client=1)
    async with (
        served(limits=limits, timeouts=PATIENT) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        await opened(stack, gateway, 1)
        async with silent(gateway.host, gateway.port) as second:
            assert await second.until_closed() == b""


async def test_a_refused_client_that_says_nothing_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.server.refusal.LINGER_S", 0.1)
    limits = Limits(max_connections_per_client=1)
    async with (
        served(limits=limits, timeouts=PATIENT) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        await opened(stack, gateway, 1)
        async with silent(gateway.host, gateway.port) as second:
            assert await second.until_closed() == b""
        assert counts(gateway) == (1, 1)


async def test_the_files_that_are_kept_for_upstreams_are_not_taken_by_handshakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        served(timeouts=PATIENT) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        (held,) = await opened(stack, gateway, 1)
        monkeypatch.setattr(FileReserve, "is_reached", lambda _: True)
        async with connected(gateway) as client:
            assert await asked(client) == 200
            assert await held.until_closed() == b""


@pytest.mark.parametrize("cut", [0, 20], ids=["nothing", "half of a hello"])
async def test_those_that_never_end_are_let_go_and_counted_no_more(cut: int) -> None:
    async with (
        served(timeouts=Timeouts(request_head_s=2)) as (gateway, _),
        contextlib.AsyncExitStack() as stack,
    ):
        held = await opened(stack, gateway, 3)
        for each in held:
            each.writer.write(hello()[:cut])
        assert [await each.until_closed() for each in held] == [b""] * 3
        await until_open(gateway, 0)


@pytest.mark.parametrize("whole", [True, False], ids=["hello", "nothing"])
async def test_who_leaves_in_the_handshake_is_counted_no_more_and_nothing_is_written_of_it(
    caplog: pytest.LogCaptureFixture, *, whole: bool
) -> None:
    async with served(timeouts=PATIENT) as (gateway, _):
        for leave in (Client.leave, lambda client: client.writer.write_eof()):
            async with silent(gateway.host, gateway.port) as client:
                await until_open(gateway, 1)
                if whole:
                    client.writer.write(hello())
                    assert await client.reader.read(1)
                leave(client)
                await until_open(gateway, 0)
        async with silent(gateway.host, gateway.port) as client:
            client.writer.write(hello() if whole else b"")
            client.leave()  # in the same breath
        await until_open(gateway, 0)
    assert not caplog.records
    assert not gateway.log


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    newest: ssl.TLSVersion,
) -> None:
    context = trusting()
    context.maximum_version = newest
    tls, incoming, outgoing = begun(context)
    async with (
        served(timeouts=PATIENT) as (gateway, _),
        silent(gateway.host, gateway.port) as client,
        asyncio.timeout(10),
    ):
        asked_at_once = False
        while not asked_at_once:
            client.writer.write(outgoing.read())
            incoming.write(await client.reader.read(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                tls.write(request())
                asked_at_once = True
        client.writer.write(outgoing.read())
        answer = b""
        while not answer:
            incoming.write(await client.reader.read(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                answer = tls.read(1 << 16)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_gateway_that_stops_lets_go_of_who_is_in_the_handshake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        config = over_tls("http://127.0.0.1:9", timeouts=PATIENT)
        async with running(config) as gateway:
            held = await opened(stack, gateway, 2)
        assert [await each.until_closed() for each in held] == [b""] * 2
    assert not caplog.records
