"""The sandbox breaks exactly where a knob says."""

import asyncio
import json
import time
import zlib

import pytest
from aiohttp import ClientPayloadError, ClientSession, ServerDisconnectedError, web
from aiohttp.typedefs import Handler

from proxy.sandbox import Knobs, create_sandbox
from tests.sandbox.client import HEADERS, Sandbox, Start, call, payloads, text_of

STREAM = call(stream=True)


def unchunked(received: bytes) -> tuple[bytes, bool]:
    """Return the body of a chunked response, and whether it was ended properly."""
    rest = received.partition(b"\r\n\r\n")[2]
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return body, True
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body, False


@pytest.mark.parametrize("knobs", ["events=64", "events=64,interval=0.0001", "events=3"])
async def test_stream_has_exactly_the_asked_number_of_deltas(sandbox: Sandbox, knobs: str) -> None:
    events = await sandbox.events(call("say hi"), knobs)
    deltas = [event for event in events if event["type"] == "content_block_delta"]
    assert len(deltas) == Knobs.parse(knobs).events
    assert text_of(events).startswith("You said: say hi")


async def test_deltas_have_the_asked_size(sandbox: Sandbox) -> None:
    events = await sandbox.events(call("say hi"), "events=4,event_bytes=100")
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert [len(delta["text"]) for delta in deltas] == [100] * 4


async def test_message_of_asked_size_is_not_cut_by_max_tokens(sandbox: Sandbox) -> None:
    message = await sandbox.message(call(max_tokens=1), "event_bytes=20000")
    assert len(message["content"][0]["text"]) == 160_000


async def test_asked_number_of_events_keeps_a_tool_call(sandbox: Sandbox) -> None:
    body = call("use the tool Bash with {}", tools=[{"name": "Bash"}])
    events = await sandbox.events(body, "events=64")
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_paced_deltas_are_an_interval_apart(sandbox: Sandbox) -> None:
    events = await sandbox.events(call(), "stamp=1,events=4,interval=0.02,event_bytes=40")
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    sent_ns = [int(text.split()[0].removeprefix("t=")) for text in texts]
    assert sent_ns[3] - sent_ns[0] >= 0.055e9
    assert sent_ns == sorted(sent_ns)
    assert sent_ns[-1] <= time.monotonic_ns()
    assert all(len(text) > 33 for text in texts)


async def test_stamps_are_also_in_a_message(sandbox: Sandbox) -> None:
    text = (await sandbox.message(call(), "stamp"))["content"][0]["text"]
    assert int(text.split()[0].removeprefix("t=")) <= time.monotonic_ns()


async def test_first_byte_waits(sandbox: Sandbox) -> None:
    start = time.monotonic()
    await sandbox.message(call(), "ttfb=0.05")
    assert time.monotonic() - start >= 0.05


async def test_pings_fill_the_intervals(sandbox: Sandbox) -> None:
    events = await sandbox.events(call(), "events=2,interval=0.05,ping=0.02")
    kinds = [event["type"] for event in events]
    assert kinds[2:8] == [
        "ping",
        "content_block_delta",
        "ping",
        "ping",
        "content_block_delta",
        "content_block_stop",
    ]


@pytest.mark.parametrize("knobs", ["", "interval=0.0001", "split=7"])
@pytest.mark.parametrize("cut", [0, 1, 500])
async def test_cut_stream_is_that_many_bytes_without_an_end(
    sandbox: Sandbox, cut: int, knobs: str
) -> None:
    body, ended = unchunked(await sandbox.raw(STREAM, f"cut={cut},{knobs}"))
    assert (len(body), ended) == (cut, False)


async def test_cut_may_fall_into_a_ping(sandbox: Sandbox) -> None:
    whole = await sandbox.raw(STREAM, "events=2,cut=2000,interval=60,ping=0.001,split=1000")
    assert whole.count(b"event: ping") > 2


async def test_cut_past_the_end_cuts_nothing(sandbox: Sandbox) -> None:
    assert (await sandbox.events(call(), "cut=100000"))[-1]["type"] == "message_stop"
    assert (await sandbox.message(call(), "cut=100000"))["stop_reason"] == "end_turn"


@pytest.mark.parametrize("cut", [0, 10])
async def test_cut_message_is_shorter_than_declared(sandbox: Sandbox, cut: int) -> None:
    head, _, body = (await sandbox.raw(call(), f"cut={cut}")).partition(b"\r\n\r\n")
    assert len(body) == cut
    assert b"Content-Length: 4" in head


@pytest.mark.parametrize("body", [call(), STREAM], ids=["message", "stream"])
async def test_cut_before_the_status_line_answers_nothing(
    sandbox: Sandbox, body: dict[str, object]
) -> None:
    with pytest.raises(ServerDisconnectedError):
        await sandbox.post(body, "cut=-1")


async def test_large_answer_is_sent_up_to_the_cut(sandbox: Sandbox) -> None:
    knobs = "events=1000,event_bytes=10000,cut=9000000"
    body, ended = unchunked(await sandbox.raw(STREAM, knobs))
    assert (len(body), ended) == (9_000_000, False)


async def test_large_message_is_sent_up_to_the_cut(sandbox: Sandbox) -> None:
    received = await sandbox.raw(call(), "events=1000,event_bytes=10000,cut=9000000")
    assert len(received.partition(b"\r\n\r\n")[2]) == 9_000_000


@pytest.mark.parametrize("wrong", [5, -5])
async def test_declared_length_is_wrong_by_the_asked_number(sandbox: Sandbox, wrong: int) -> None:
    received = await sandbox.raw(call(), f"wrong_length={wrong}")
    head, _, body = received.partition(b"\r\n\r\n")
    declared = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert declared - len(body) == wrong
    assert json.loads(body)["type"] == "message"


async def test_stalled_stream_stays_open_and_silent(start: Start) -> None:
    sandbox = await start(Knobs(stall=2))
    response = await sandbox.post(STREAM)
    received = b""
    while received.count(b"\n\n") < 2:
        received += await response.content.readany()
    assert [event["type"] for event in payloads(received)] == [
        "message_start",
        "content_block_start",
    ]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(response.content.readany(), 0.05)
    # The end of the server ends the stall at once, and not cleanly.
    await sandbox.runner.cleanup()
    with pytest.raises(ClientPayloadError):
        await response.read()


async def test_overloaded_error_ends_a_stream(sandbox: Sandbox) -> None:
    events = await sandbox.events(call(), "overloaded_at=4")
    assert len(events) == 5
    assert events[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }


async def test_stream_may_end_cleanly_without_its_last_event(sandbox: Sandbox) -> None:
    assert (await sandbox.events(call(), "no_stop"))[-1]["type"] == "message_delta"


@pytest.mark.parametrize("knobs", ["split=1", "split=7", "split=100000", "split=50,interval=0.001"])
async def test_split_stream_is_the_same_stream(sandbox: Sandbox, knobs: str) -> None:
    plain = await sandbox.events(call())
    split = await sandbox.events(call(), knobs)
    assert split[1:] == plain[1:]


async def test_split_sends_pieces_of_the_asked_size(sandbox: Sandbox) -> None:
    received = await sandbox.raw(STREAM, "split=100,cut=350")
    assert received.count(b"\r\n64\r\n") == 3
    assert b"\r\n32\r\n" in received


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("pace", ["", ",interval=0.0001"])
async def test_compressed_answers_decode_to_the_same(
    sandbox: Sandbox, encoding: str, pace: str
) -> None:
    knobs = f"encoding={encoding}{pace}"
    async with await sandbox.post(STREAM, knobs) as response:
        assert response.headers["content-encoding"] == encoding
        assert text_of(payloads(await response.read())) == "You said: say hi"
    assert (await sandbox.message(call(), knobs))["content"][0]["text"] == "You said: say hi"


async def test_each_compressed_event_can_be_read_at_once(start: Start) -> None:
    sandbox = await start(Knobs(encoding="gzip", interval=0.0001, stall=4))
    async with ClientSession(auto_decompress=False) as session:
        response = await session.post(sandbox.url + "/v1/messages", json=STREAM, headers=HEADERS)
        inflater = zlib.decompressobj(wbits=31)
        plain = b""
        while plain.count(b"\n\n") < 4:
            plain += inflater.decompress(await response.content.readany())
        response.close()
    assert payloads(plain)[-1]["type"] == "content_block_delta"


@pytest.mark.parametrize(
    ("knobs", "status", "kind"),
    [
        ("status=529", 529, "overloaded_error"),
        ("status=503", 503, "api_error"),
        ("status=418", 418, "invalid_request_error"),
        ("status=402,error=odd_error", 402, "odd_error"),
        ("error=rate_limit_error", 429, "rate_limit_error"),
        ("fail_rate=1", 529, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_asked_error_is_answered(
    sandbox: Sandbox, knobs: str, status: int, kind: str, path: str
) -> None:
    assert (await sandbox.error(call(), knobs, path))[:2] == (status, kind)
    async with await sandbox.post(call(), knobs + ",retry_after=7", path) as response:
        assert response.headers["retry-after"] == "7"


async def test_same_seed_fails_the_same_requests(start: Start) -> None:
    async def statuses() -> list[int]:
        sandbox = await start(Knobs(fail_rate=0.5, seed=1))
        found = []
        for _ in range(20):
            async with await sandbox.post(call()) as response:
                found.append(response.status)
        return found

    first = await statuses()
    assert set(first) == {200, 529}
    assert await statuses() == first


async def test_header_wins_over_the_start(start: Start) -> None:
    sandbox = await start(Knobs(status=500))
    assert (await sandbox.error(call(), "status=503"))[0] == 503


@pytest.mark.parametrize(
    ("knobs", "cancellation"),
    [
        (Knobs(stall=2), True),
        (Knobs(events=10_000, interval=0.01), True),
        (Knobs(events=10_000, interval=0.01), False),
    ],
    ids=["stalled", "paced", "paced, noticed only by writing"],
)
async def test_client_that_leaves_ends_the_stream(
    knobs: Knobs,
    cancellation: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    ended = asyncio.Event()

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            ended.set()

    app = create_sandbox(knobs)
    app.middlewares.append(watch)
    runner = web.AppRunner(app, handler_cancellation=cancellation)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/messages"
    async with ClientSession() as session:
        response = await session.post(url, json=STREAM, headers=HEADERS)
        await response.content.readany()
        response.close()
        await asyncio.wait_for(ended.wait(), 5)
    await runner.cleanup()
