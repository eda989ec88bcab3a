"""However a request ends, its bill follows from what was observed of it: each end, over real sockets."""

import asyncio
import gzip

import pytest

from proxy.exchange import Phase
from proxy.money.bill import UsageSource
from proxy.money.usage import Sums
from tests.relay.costs import observed
from tests.relay.settled import waits_in
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, Script, UpstreamSide, answer, chunk
from tests.support.scripts import says, then_closes, then_waits

# Sonnet 4.6: 3 dollars a million of input, 15 of output, 3.75 written, 0.30 read.
INPUT = 11 * 3 + 3 * 0.3


TEXT = b"Hi, I am the text of one delta out of many; I am as long as many words are, so they say."


DELTA = EVENTS[3].replace(b"Hi", TEXT)


ERROR = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'
)


FAILURE = b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}'


EXPECTED = -(-len(STREAM_BODY) // 4)


EXPECTED_WHOLE = -(-len(BODY) // 4)


def stream(*events: bytes, end: bytes = b"") -> bytes:
    return SSE_HEAD + b"".join(map(chunk, (*events, end)))


def rounded(micros: float) -> int:
    return int(micros + 0.5)


@pytest.mark.parametrize(
    ("script", "source", "sums", "micros"),
    [
        pytest.param(
            says(stream(*EVENTS)),
            UsageSource.REPORTED,
            Sums(11, 7, None, None, 3),
            INPUT + 7 * 15,
            id="a stream to its end",
        ),
        pytest.param(
            then_closes(stream(*EVENTS)[:-5]),
            UsageSource.REPORTED,
            Sums(11, 7, None, None, 3),
            INPUT + 7 * 15,
            id="a stream whose framing was cut behind its end",
        ),
        pytest.param(
            then_closes(SSE_HEAD + b"".join(map(chunk, (*EVENTS[:3], DELTA, DELTA)))),
            UsageSource.PARTIAL,
            Sums(11, len(TEXT) // 2, None, None, 3),
            INPUT + len(TEXT) // 2 * 15,
            id="a stream cut among its deltas",
        ),
        pytest.param(
            says(stream(*EVENTS[:3], DELTA, ERROR)),
            UsageSource.PARTIAL,
            Sums(11, len(TEXT) // 4, None, None, 3),
            INPUT + len(TEXT) // 4 * 15,
            id="a stream that ends in an error",
        ),
        pytest.param(
            then_closes(SSE_HEAD + chunk(EVENTS[0] + DELTA[:90])),
            UsageSource.PARTIAL,
            Sums(11, 1, None, None, 3),
            INPUT + 15,
            id="a stream cut inside its first delta",
        ),
        pytest.param(
            says(stream(ERROR)), UsageSource.NONE, Sums(), 0, id="an error where a stream begins"
        ),
        pytest.param(
            then_closes(SSE_HEAD + chunk(EVENTS[2]) + chunk(EVENTS[0][:40])),
            UsageSource.ESTIMATED,
            Sums(cache_write_5m_tokens=EXPECTED),
            EXPECTED * 3.75,
            id="a stream cut before it began",
        ),
        pytest.param(
            then_closes(),
            UsageSource.ESTIMATED,
            Sums(cache_write_5m_tokens=EXPECTED),
            EXPECTED * 3.75,
            id="no answer",
        ),
        pytest.param(
            says(answer(FAILURE, b"529 Overloaded")), UsageSource.NONE, Sums(), 0, id="an error"
        ),
        pytest.param(
            says(answer(FAILURE)), UsageSource.NONE, Sums(), 0, id="an error called a success"
        ),
        pytest.param(
            says(answer(b"", b"302 Found")), UsageSource.NONE, Sums(), 0, id="a redirect"
        ),
        pytest.param(
            says(answer(FAILURE, b"401 Unauthorized")), UsageSource.NONE, Sums(), 0, id="our key"
        ),
        pytest.param(
            says(answer()),
            UsageSource.REPORTED,
            Sums(11, 7),
            11 * 3 + 7 * 15,
            id="a message where a stream was asked for",
        ),
    ],
)  # fmt: skip
async def test_a_stream_costs_by_its_end(
    script: Script, source: UsageSource, sums: Sums, micros: float
) -> None:
    async with observed(script) as (gateway, ended):
        await ask(gateway, request(body=STREAM_BODY))
        await ended.left.wait()
    found = ended.bill
    assert (found.usage_source, found.sums) == (source, sums)
    assert found.cost_micros == rounded(micros)


@pytest.mark.parametrize(
    ("script", "source", "sums"),
    [
        pytest.param(says(answer()), UsageSource.REPORTED, Sums(11, 7), id="whole"),
        pytest.param(
            then_closes(answer()[:-20]),
            UsageSource.ESTIMATED,
            Sums(cache_write_5m_tokens=EXPECTED_WHOLE),
            id="cut",
        ),
        pytest.param(
            says(answer(gzip.compress(MESSAGE, mtime=0), b"200 OK", b"content-encoding: gzip")),
            UsageSource.ESTIMATED,
            Sums(None, len(gzip.compress(MESSAGE, mtime=0)) // 4, EXPECTED_WHOLE),
            id="compressed",
        ),
        pytest.param(
            says(answer(b'{"content":[]}')),
            UsageSource.ESTIMATED,
            Sums(None, 3, EXPECTED_WHOLE),
            id="without usage",
        ),
        pytest.param(
            says(answer(b"<html>")),
            UsageSource.ESTIMATED,
            Sums(cache_write_5m_tokens=EXPECTED_WHOLE),
            id="no JSON",
        ),
    ],
)
async def test_a_message_costs_by_its_end(script: Script, source: UsageSource, sums: Sums) -> None:
    async with observed(script) as (gateway, ended):
        await ask(gateway, request(body=BODY))
        await ended.left.wait()
    assert (ended.bill.usage_source, ended.bill.sums) == (source, sums)


@pytest.mark.parametrize(
    ("body", "sent", "source", "output"),
    [
        pytest.param(BODY, (), UsageSource.ESTIMATED, None, id="a message, before its head"),
        pytest.param(
            BODY, (answer()[:-9],), UsageSource.ESTIMATED, None, id="a message, inside of it"
        ),
        pytest.param(STREAM_BODY, (), UsageSource.ESTIMATED, None, id="a stream, before its head"),
        pytest.param(
            STREAM_BODY,
            (SSE_HEAD, *map(chunk, (EVENTS[0], DELTA, DELTA))),
            UsageSource.PARTIAL,
            len(TEXT) // 2,
            id="a stream, among its deltas",
        ),
        pytest.param(
            STREAM_BODY,
            (SSE_HEAD, *map(chunk, EVENTS)),
            UsageSource.REPORTED,
            7,
            id="a stream, behind its end",
        ),
    ],
)
async def test_a_client_that_leaves_pays_what_was_made_for_it(
    body: bytes, sent: tuple[bytes, ...], source: UsageSource, output: int | None
) -> None:
    arrived = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        arrived.set()
        await then_waits(*sent)(upstream)

    async with observed(script) as (gateway, ended):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=body))
            await arrived.wait()
            if source is UsageSource.ESTIMATED:
                waited_for = Phase.RESPONSE_BODY if sent else Phase.RESPONSE_HEAD
                await waits_in(gateway.gateway, waited_for)
            else:
                # Of each delta, or of the last event.
                for _ in range(max(1, sent.count(chunk(DELTA)))):
                    await client.until(sent[-1].removesuffix(b"\r\n")[-20:])
        await ended.left.wait()
    found = ended.bill
    assert found.usage_source is source
    if output is not None:
        assert found.sums.output_tokens == output
    elif body is BODY:
        # 50 tokens for each second that it waited.
        assert found.output == min(64, int(50 * ended.facts[-1].waited_s))
    else:
        assert found.output == 0


async def test_an_upstream_that_falls_silent_costs_the_input() -> None:
    async with observed(then_waits(), first_byte_s=0.2) as (gateway, ended):
        assert (await ask(gateway, request(body=STREAM_BODY))).status == 504
        await ended.left.wait()
    assert ended.bill.sums == Sums(cache_write_5m_tokens=EXPECTED)


@pytest.mark.parametrize("tokens", [b"64", b"64.0"], ids=["at once", "with care"])
async def test_what_a_request_asks_that_changes_its_price_is_known_when_nothing_is_reported(
    tokens: bytes,
) -> None:
    """However its body is read: what is large, or written oddly, is not cheaper."""
    body = STREAM_BODY[:-1] + b', "speed": "fast", "inference_geo": "us"}'
    body = body.replace(b'"max_tokens": 64', b'"max_tokens": %b' % tokens)
    async with observed(then_closes()) as (gateway, ended):
        await ask(gateway, request(body=body))
        await ended.left.wait()
    facts = ended.facts[-1]
    assert (facts.speed, facts.geo) == ("fast", "us")
    assert (facts.body_bytes, facts.max_tokens) == (len(body), 64)
    assert ended.bill.cost_micros == rounded(-(-len(body) // 4) * 3.75 * 2.2)


async def test_a_refusal_is_told_with_its_category() -> None:
    refused = MESSAGE.replace(
        b'"stop_reason":"end_turn"', b'"stop_reason":"refusal","stop_details":{"category":"cyber"}'
    ).replace(b'"output_tokens":7', b'"output_tokens":0')
    async with observed(says(answer(refused))) as (gateway, ended):
        await ask(gateway, request(body=BODY))
    assert (ended.facts[-1].stop_reason, ended.facts[-1].refusal) == ("refusal", "cyber")
    assert (ended.bill.sums, ended.bill.cost_micros) == (Sums(11, 0), 0)
