"""What a request held is let go when it ends, whatever its end: nothing of it waits for the collector."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Literal

import pytest
from aiohttp import StreamReader, web

from proxy import Timeouts
from proxy.exchange import Exchange, Phase
from tests.relay.settled import waits_in
from tests.support.client import connected, received, request
from tests.support.gateways import KEY, STREAM_BODY, Running
from tests.support.raw import EVENTS, SSE_HEAD, STREAM, Script, answer, chunk
from tests.support.scripts import gateway_before, says, then_closes, then_waits

MANY = 5
LARGE_BYTES = 300_000
LARGE = STREAM_BODY.replace(b"say hi", b"x" * LARGE_BYTES)
SHORT_WAITS = Timeouts(first_byte_s=0.2, idle_s=0.2, request_body_idle_s=0.2)

Leaves = Literal["in the body", "before the head", "in the stream", "never"]


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Leave what refers to itself where it is."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> list[object]:
    """Return what the gateway makes for each request, its body among it, and has not let go."""
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, Exchange | web.Request)
        or (isinstance(each, StreamReader) and each.total_bytes >= LARGE_BYTES)
    ]


async def _nothing_is_left(before: set[int], *but: type) -> None:
    """Wait for it, without the collector: tasks end and connections close in turns of the loop."""
    async with asyncio.timeout(5):
        # Not kept from one look to the next: that would hold it.
        while any(id(each) not in before and not isinstance(each, but) for each in alive()):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)  # what is let go tells nobody


async def _one(gateway: Running, data: bytes, leaves: Leaves) -> None:
    async with connected(gateway.host, gateway.port) as client:
        client.writer.write(data[:-9] if leaves == "in the body" else data)
        if leaves == "in the body":
            await waits_in(gateway.gateway, Phase.REQUEST_BODY)
        elif leaves == "before the head":
            await waits_in(gateway.gateway, Phase.RESPONSE_HEAD)
        elif leaves == "in the stream":
            await client.until(b"message_start")
        else:
            async with asyncio.timeout(5):
                await received(client.reader)


HOLDS = then_waits(SSE_HEAD + chunk(EVENTS[0]))
GOOD = request(b"connection: close", body=LARGE)
BROKEN = request(b"transfer-encoding: chunked", body=chunk(LARGE) + b"x\r\n", length=False)
ENDS: dict[str, tuple[Script, bytes, Leaves]] = {
    "leaves while sending": (HOLDS, GOOD, "in the body"),
    "leaves while the upstream is silent": (then_waits(), GOOD, "before the head"),
    "leaves a stream": (HOLDS, GOOD, "in the stream"),
    "a whole stream": (says(SSE_HEAD, chunk(STREAM), b"0\r\n\r\n"), GOOD, "never"),
    "a message": (says(answer()), GOOD, "never"),
    "a cut stream": (then_closes(SSE_HEAD + chunk(EVENTS[0])), GOOD, "never"),
    "a stream cut inside an event": (then_closes(SSE_HEAD + chunk(EVENTS[0][:9])), GOOD, "never"),
    "a silent stream": (HOLDS, GOOD, "never"),
    "a silent upstream": (then_waits(), GOOD, "never"),
    "a cut message": (then_closes(answer()[:-9]), GOOD, "never"),
    "no answer": (then_closes(), GOOD, "never"),
    "no HTTP": (then_closes(b"rubbish\r\n\r\n"), GOOD, "never"),
    "a refused credential": (says(answer(b"{}", b"401 No")), GOOD, "never"),
    "an error": (says(answer(b"{}", b"529 No")), GOOD, "never"),
    "no JSON": (says(), request(b"connection: close", body=LARGE[:-1]), "never"),
    "not described": (
        says(),
        request(b"connection: close", body=LARGE.replace(b'"role"', b'"rule"')),
        "never",
    ),
    "a silent client": (
        says(),
        request(b"content-length: 999999", body=LARGE, length=False),
        "never",
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_without_the_collector_nothing_is_left(end: tuple[Script, bytes, Leaves]) -> None:
    await _leave_nothing(*end)


@pytest.mark.parametrize("key", [KEY.encode(), b"ar-another"], ids=["read", "not read"])
async def test_without_the_collector_nothing_is_left_of_broken_chunks(key: bytes) -> None:
    await _leave_nothing(says(), BROKEN.replace(KEY.encode(), key), "never")


async def test_without_the_collector_nothing_is_left_of_a_client_that_reads_nothing() -> None:
    before = set(map(id, alive()))
    whole = says(answer(b'{"text":"%b"}' % (b"x" * (12 << 20))))
    async with (
        gateway_before(whole, timeouts=SHORT_WAITS) as (upstream, gateway),
        connected(gateway.host, gateway.port, 1 << 14) as client,
    ):
        await client.send(GOOD)
        await upstream.arrived.wait()
        await gateway.gateway.deadlines.idle()
        assert gateway.log[0]["cause"] == "client_stalled"
        await _nothing_is_left(before)


async def test_nothing_is_left_of_an_answered_request_while_its_connection_is_idle() -> None:
    before = set(map(id, alive()))
    async with (
        gateway_before(says(answer())) as (_, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        for _ in range(2):
            await client.send(request(body=LARGE))
            assert (await client.answer()).status == 200
        await gateway.gateway.deadlines.idle()
        # Its connection knows the last body's reader, of which all is taken.
        await _nothing_is_left(before, StreamReader)


async def _leave_nothing(script: Script, data: bytes, leaves: Leaves) -> None:
    # Of a test that failed, pytest keeps what it held.
    before = set(map(id, alive()))
    async with gateway_before(script, timeouts=SHORT_WAITS) as (_, gateway):
        for _ in range(MANY):
            await _one(gateway, data, leaves)
        await gateway.gateway.deadlines.idle()
        await _nothing_is_left(before)
