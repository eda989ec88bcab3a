"""However a request ends, its bill follows from what was observed of it: each end, over real sockets."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from proxy import Quota, RateLimits, Timeouts
from proxy.exchange import Exchange, Phase
from proxy.money import price_file
from proxy.money.bill import Bill, Facts, UsageSource, bill
from proxy.money.usage import Sums
from proxy.tenancy.facts import facts_of
from tests.relay.settled import waits_in
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for, running
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, Script, answer, chunk
from tests.support.scripts import gateway_before, says, then_closes, then_waits

TABLE = price_file.load()
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


class Ended(NamedTuple):
    """What the observer was told last, and its bill."""

    facts: list[Facts]
    left: asyncio.Event

    def ended(self, exchange: Exchange) -> None:
        self.facts.append(facts_of(exchange))
        self.left.set()

    @property
    def bill(self) -> Bill:
        return bill(self.facts[-1], TABLE)


@contextlib.asynccontextmanager
async def observed(script: Script, **changes: float) -> AsyncIterator[tuple[Running, Ended]]:
    # With a limit: what a request costs is read of it when somebody reckons it, and else not.
    quota = Quota(each_key_limits=RateLimits(requests_per_minute=1000))
    timeouts = Timeouts(**changes)
    async with gateway_before(script, timeouts=timeouts, quota=quota) as (_, gateway):
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        yield gateway, ended


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
    async with observed(then_waits(*sent)) as (gateway, ended):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=body))
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


async def test_who_was_never_sent_anywhere_pays_nothing() -> None:
    async with observed(then_closes()) as (gateway, ended):
        for body in (b"{", BODY.replace(b"anthropic/", b"openai/")):
            assert (await ask(gateway, request(body=body))).status in (400, 404)
    assert [bill(facts, TABLE) for facts in ended.facts] == [Bill(), Bill()]


async def test_an_upstream_that_is_not_there_costs_nothing() -> None:
    async with gateway_before(says()) as (upstream, _):
        url = upstream.url
    async with observed(says()) as (gateway, ended):
        snapshot = gateway.gateway.snapshot
        template = snapshot.upstreams["first"]
        template._base_url = url
        assert (await ask(gateway, request(body=BODY))).status == 502
    assert ended.bill == Bill()


async def test_a_client_that_leaves_while_the_upstream_is_still_being_reached_pays_nothing() -> (
    None
):
    """A server that accepts, and never answers a TLS handshake."""
    reached = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        while await reader.read(1 << 12):
            pass
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running(config_for(url)) as gateway:
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=BODY))
            await reached.wait()
        await ended.left.wait()
    server.close()
    assert ended.bill == Bill()


async def test_a_count_of_tokens_costs_nothing() -> None:
    async with observed(says(answer(b'{"input_tokens": 5}'))) as (gateway, ended):
        reply = await ask(gateway, request(body=BODY, path=b"/v1/messages/count_tokens"))
        assert reply.status == 200
    assert ended.bill == Bill()


async def test_what_a_request_asks_that_changes_its_price_is_known_when_nothing_is_reported() -> (
    None
):
    body = STREAM_BODY[:-1] + b', "speed": "fast", "inference_geo": "us"}'
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


async def test_where_nobody_reckons_costs_nothing_is_read_that_only_they_depend_on() -> None:
    body = BODY[:-1] + b', "speed": "fast"}'
    async with gateway_before(says(answer())) as (_, gateway):
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        await ask(gateway, request(body=body))
    facts = ended.facts[-1]
    assert (facts.speed, facts.served_model) == (None, None)
    assert facts.usage == {"input_tokens": 11, "output_tokens": 7}
