"""Either end dies after every single byte of a stream: no end looks whole that is not, and nothing is left over."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from tests.relay.settled import settled
from tests.support.client import ask, connected, request
from tests.support.gateways import STREAM_BODY, Running
from tests.support.raw import EVENTS, SSE_HEAD, STREAM, UpstreamSide, chunk, reset
from tests.support.scripts import gateway_before, then_waits

pytestmark = pytest.mark.slow
CHUNKED = SSE_HEAD + b"".join(map(chunk, EVENTS)) + chunk(b"")
UNFRAMED = SSE_HEAD.replace(b"transfer-encoding: chunked", b"connection: close") + STREAM
LENGTH = (
    SSE_HEAD.replace(b"transfer-encoding: chunked", b"content-length: %d" % len(STREAM)) + STREAM
)
AT_ONCE = 32


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of warnings, one for each kill, would cost more than the kills."""
    caplog.set_level(logging.ERROR, "proxy.upstreams.failures")


async def all_of(
    cuts: Iterable[int], one: Callable[[int], Coroutine[Any, Any, None]], at_once: int = AT_ONCE
) -> None:
    """Run `one` for every cut, some at a time."""
    waiting = iter(cuts)

    async def worker() -> None:
        for cut in waiting:
            await one(cut)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


@pytest.mark.parametrize("kill", ["fin", "rst"])
async def test_an_upstream_killed_after_any_byte_never_looks_complete(kill: str) -> None:
    await kill_upstream_everywhere(CHUNKED, kill)


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize(
    ("recorded", "kill"),
    [(UNFRAMED, "fin"), (UNFRAMED, "rst"), (LENGTH, "fin")],
    ids=["unframed-fin", "unframed-rst", "length-fin"],
)
async def test_nor_does_one_that_frames_its_stream_otherwise(recorded: bytes, kill: str) -> None:
    await kill_upstream_everywhere(recorded, kill)


async def kill_upstream_everywhere(recorded: bytes, kill: str) -> None:
    async def script(exchange: UpstreamSide) -> None:
        cut = int(exchange.head.split(b"x-cut: ")[1].split(b"\r\n")[0])
        await exchange.send(recorded[:cut])
        for _ in range(cut % 4):
            await asyncio.sleep(0)  # sometimes the gateway has passed the bytes on, sometimes not
        if kill == "rst":
            exchange.reset()
        else:
            exchange.writer.close()

    seen: Counter[str] = Counter()
    shortest_whole = len(recorded.removesuffix(chunk(b"")).removesuffix(b"\r\n"))

    async def one(cut: int) -> None:
        answer = await ask(gateway, request(body=STREAM_BODY, headers={"x-cut": str(cut)}))
        if answer.status == 502:
            assert b'"type":"api_error"' in answer.body
            assert answer.whole
            seen["502"] += 1
            return
        assert answer.status == 200
        seen[answer.ending] += 1
        if answer.ending == "message":
            assert answer.body.startswith(b"event: message_start\n")
            assert cut >= shortest_whole

    async with gateway_before(script) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        await all_of(range(len(recorded) + 1), one)
        await settled(gateway, upstream, before)
        assert upstream.connections == len(recorded) + 1
        for line in gateway.log:
            if line["status"] == 502:
                assert line["cause"] in {"upstream_cut", "upstream_garbage"}
            else:
                assert line.get("cause") in {"upstream_cut", None}
    head = recorded.index(b"\r\n\r\n") + 4
    assert seen["502"] >= head - 1
    assert {"502"} <= set(seen) <= {"502", "broken", "error event", "message"}
    if kill == "fin":
        assert seen["message"]
        assert seen["error event"]
        assert seen["broken"]


@pytest.mark.parametrize("kill", ["fin", "rst"])
async def test_a_client_killed_after_any_byte_leaves_nothing_behind(kill: str) -> None:
    """The upstream holds back its last event, so that every kill comes before the end."""

    async def one(cut: int) -> None:
        async with connected(gateway.host, gateway.port) as (reader, writer):
            writer.write(request(body=STREAM_BODY))
            await reader.readexactly(cut)
            if kill == "rst":
                reset(writer)
            else:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async with gateway_before(then_waits(SSE_HEAD + b"".join(map(chunk, EVENTS[:-1])))) as (
        upstream,
        gateway,
    ):
        before = len(asyncio.all_tasks())
        available = await length_of_what_comes(gateway)
        await all_of(range(available + 1), one)
        await settled(gateway, upstream, before)
        assert {line.get("cause") for line in gateway.log} == {"client_closed"}
        assert {line["status"] for line in gateway.log} <= {200, None}


async def length_of_what_comes(gateway: Running) -> int:
    """Count the bytes a client gets before the upstream's silence."""
    async with connected(gateway.host, gateway.port) as (reader, writer):
        writer.write(request(body=STREAM_BODY))
        seen = b""
        while b"message_delta" not in seen or not seen.endswith(b"}\n\n\r\n"):
            seen += await reader.read(1 << 16)
        return len(seen)


@pytest.mark.parametrize("kill", ["fin", "rst"])
async def test_a_client_killed_after_any_byte_of_its_request_leaves_nothing_behind(
    kill: str,
) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()

    data = request(body=STREAM_BODY)

    async def one(cut: int) -> None:
        async with connected(gateway.host, gateway.port) as (_, writer):
            writer.write(data[:cut])
            for _ in range(cut % 3):
                await asyncio.sleep(0)
            if kill == "rst":
                reset(writer)
            else:
                writer.close()

    async with gateway_before(script) as (upstream, gateway):
        before = len(asyncio.all_tasks())
        await all_of(range(len(data) + 1), one)
        await settled(gateway, upstream, before)
        assert {line.get("cause") for line in gateway.log} == {"client_closed"}
