"""What an upstream that declined leaves of a request that another one is asked for: nothing but its attempt."""

import asyncio
import contextlib
import gc
import socket

import pytest

from proxy.exchange import Phase
from proxy.progress import Progress
from proxy.protocol.call import Call
from tests.relay.settled import waits_in
from tests.support.gateways import BODY, MODEL, STREAM_BODY, running
from tests.support.pools import CONTENT, START, config_of, error, good, pooled
from tests.support.raw import SSE_HEAD, Script, UpstreamSide, chunk, raw_upstream
from tests.support.scripts import gateway_before, then_closes

REFUSED = error(b"401 Unauthorized", kind=b"authentication_error")
LARGE = STREAM_BODY.replace(b"say hi", b"x" * 200_000)
LEFT = {
    "a refused credential": REFUSED,
    "an overload": error(b"529 Overloaded", kind=b"overloaded_error"),
    "a refusal that breaks off": then_closes(b"HTTP/1.1 529 X\r\ncontent-length: 100\r\n\r\n{"),
}


async def slow(upstream: UpstreamSide) -> None:
    """Begin a stream."""
    await upstream.send(SSE_HEAD + chunk(START + CONTENT))
    await upstream.until_closed()


def calls() -> int:
    return sum(isinstance(each, Call) for each in gc.get_objects())


@pytest.mark.parametrize("left", [*LEFT.values(), None], ids=[*LEFT, "unreachable"])
async def test_the_body_is_let_go_once_the_last_one_answers(left: Script | None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        second = await stack.enter_async_context(raw_upstream(slow))
        url = "http://127.0.0.1:1"
        if left is not None:
            url = (await stack.enter_async_context(raw_upstream(left))).url
        gateway = await stack.enter_async_context(running(config_of({"a": url, "b": second.url})))
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        async with gateway.post(LARGE) as response:
            assert MODEL.encode() in await response.content.readany()
            assert calls() == 0


async def test_who_leaves_while_the_next_is_connected_to_has_sent_it_nothing() -> None:
    """So it costs nothing, whatever the one before has got."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        async with raw_upstream(error(b"529 Overloaded")) as first:
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            async with running(config_of({"a": first.url, "b": url})) as gateway:
                asking = asyncio.create_task(gateway.post(BODY).__aenter__())
                await first.arrived.wait()
                (exchange,) = gateway.gateway.deadlines.in_flight
                async with asyncio.timeout(5):
                    while exchange.upstream != "b":  # noqa: ASYNC110 - it has no event
                        await asyncio.sleep(0)
                await waits_in(gateway.gateway, Phase.RESPONSE_HEAD)
                assert exchange.progress is Progress.UNSENT
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)


async def test_a_refused_credential_is_a_refusal_while_a_newer_one_is_looked_for() -> None:
    async with gateway_before(REFUSED) as (_, gateway):
        may_go_on, is_looked_for = asyncio.Event(), asyncio.Event()

        async def reread(name: str) -> None:
            assert name == "first"
            is_looked_for.set()
            await may_go_on.wait()

        gateway.gateway.credentials.reread = reread
        asking = asyncio.create_task(gateway.post(BODY).__aenter__())
        async with asyncio.timeout(5):
            await is_looked_for.wait()
        (exchange,) = gateway.gateway.deadlines.in_flight
        assert exchange.progress is Progress.REFUSED
        may_go_on.set()
        assert (await asking).status == 502


async def test_a_defect_in_noting_the_end_loses_no_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr("proxy.upstreams.marks.ended", breaks)
    async with pooled(good, good) as pool:
        assert (await pool.ask(BODY))[0] == 200
        assert pool.last["status"] == 200
    assert "a defect of an observer" in caplog.text
    caplog.clear()


async def test_a_stream_that_was_declined_does_not_make_a_stream_of_the_next_answer() -> None:
    async def odd(upstream: UpstreamSide) -> None:
        overload = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
        await upstream.send(SSE_HEAD + chunk(overload) + chunk(b""))

    async with pooled(odd, good) as pool:
        assert (await pool.ask(BODY))[0] == 200
        assert pool.asked() == {"a": 1, "b": 1}
        assert "stream" not in pool.last
