"""Two thousand requests of all kinds: each row's tokens and cost are what the sandbox says it served.

To the token and the micro-dollar, but where the client left or the upstream broke off: there, and nowhere else, output
is estimated, and within a fifth of what went by.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from typing import Any, NamedTuple

import aiohttp
import pytest

from proxy import Timeouts
from proxy.ledger.row import Row
from proxy.progress import Progress
from proxy.sandbox import Knobs, Record
from tests.support.gateways import HEADERS, Running
from tests.tenancy.conftest import WITHIN_S, Start
from tests.tenancy.reckoned import Tokens, cost_of, micros_of, output_of, tokens_of

COUNT = 2000
AT_ONCE = 40
STREAMED = "events=30,event_bytes=80"
# Long after its client has left.
ENDLESS = "events=1000,event_bytes=80,interval=0.01"
OUTPUT_TOKENS_PER_S = 50
RENAMED_BYTES = len("anthropic/")
CACHED = {"type": "text", "text": "a system prompt " * 400, "cache_control": {"type": "ephemeral"}}
ADVISED = json.dumps(
    {
        "iterations": [
            {"type": "message", "input_tokens": 9, "output_tokens": 90},
            {
                "type": "advisor_message",
                "model": "claude-opus-5-5",
                "input_tokens": 70,
                "output_tokens": 40,
            },
        ]
    }
)
HOURS = json.dumps(
    {
        "cache_creation_input_tokens": 900,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 500},
        "inference_geo": "us",
        "server_tool_use": {"web_search_requests": 2},
    }
)


class Kind(NamedTuple):
    """A kind of request, and what its row has to say.

    Attributes:
        knobs: of the sandbox.
        stream: whether a stream is asked for.
        source: the row's `usage_source`.
        leaves_after: events of a stream after which the client leaves; 0: while it waits for a message; None: never.
        counts: whether it only counts tokens.
        prompt: what it says.
    """

    knobs: str
    stream: bool
    source: str
    leaves_after: int | None = None
    counts: bool = False
    prompt: str = "tell me about every model"


# 300 characters, with quotes that are written as two.
CALLS = "use the tool Bash with " + json.dumps({"command": "echo 'a b' " * 20, "description": "d"})
KINDS = (
    Kind("", stream=False, source="reported"),
    Kind("think", stream=True, source="reported"),
    Kind(STREAMED, stream=True, source="reported"),
    Kind("", stream=True, source="reported", prompt=CALLS),
    Kind(f"usage={ADVISED}", stream=False, source="reported"),
    Kind(f"usage={ADVISED}", stream=True, source="reported"),
    Kind(f"usage={HOURS}", stream=True, source="reported"),
    Kind("refuse=cyber", stream=True, source="reported"),
    Kind("refuse=bio", stream=False, source="reported"),
    # Message start has 500 bytes; a delta of text 190, one of three characters 120.
    Kind(f"{STREAMED},cut=3000", stream=True, source="partial"),
    Kind("events=60,event_bytes=3,cut=5000", stream=True, source="partial"),
    Kind("think,overloaded_at=6", stream=True, source="partial"),
    Kind("think,events=30,event_bytes=40,cut=2500", stream=True, source="partial"),
    Kind("overloaded_at=9", stream=True, source="partial", prompt=CALLS),
    Kind(f"{STREAMED},no_stop", stream=True, source="partial"),
    Kind(f"{STREAMED},overloaded_at=20", stream=True, source="partial"),
    Kind(f"{STREAMED},stall=14", stream=True, source="partial", leaves_after=14),
    Kind(ENDLESS, stream=True, source="partial", leaves_after=12),
    Kind("ttfb=60", stream=False, source="estimated", leaves_after=0),
    Kind("cut=40", stream=False, source="estimated"),
    Kind("cut=-1", stream=True, source="estimated"),
    Kind("status=529", stream=True, source="none"),
    Kind("status=400", stream=False, source="none"),
    Kind("", stream=False, source="none", prompt=""),
    Kind("", stream=False, source="none", counts=True),
)


async def _ask(gateway: Running, kind: Kind, model: str, number: int, *, cached: bool) -> None:
    call: dict[str, Any] = {
        "model": f"anthropic/{model}",
        "messages": [{"role": "user", "content": kind.prompt}] if kind.prompt else [],
        "system": [CACHED] if cached else "be brief",
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
    }
    if not kind.counts:
        call |= {"max_tokens": 4096, "stream": kind.stream}
    path = "/v1/messages/count_tokens" if kind.counts else "/v1/messages"
    # A session id is a column of the row: here it says which kind this was.
    session = f"{KINDS.index(kind)}-{number}"
    told = {**HEADERS, "x-sandbox": kind.knobs, "x-claude-code-session-id": session}
    with contextlib.suppress(aiohttp.ClientError):
        asking = gateway.session.post(gateway.url + path, json=call, headers=told)
        if kind.leaves_after == 0:
            await _leave(gateway, session, asyncio.ensure_future(asking))
            return
        async with asking as reply:
            if kind.leaves_after is None:
                await reply.read()
                return
            for _ in range(kind.leaves_after):
                await reply.content.readuntil(b"\n\n")
            reply.close()


async def _leave(gateway: Running, session: str, asking: "asyncio.Future[Any]") -> None:
    """Leave when the upstream has the request."""
    async with asyncio.timeout(WITHIN_S):
        while not any(  # noqa: ASYNC110 - it is another's progress, which tells nobody
            each.session_id == session and each.progress is Progress.SENT
            for each in gateway.gateway.deadlines.in_flight
        ):
            await asyncio.sleep(0.01)  # as above
    asking.cancel()
    await asyncio.wait([asking])


def _kind(row: Row) -> Kind:
    return KINDS[int((row.session_id or "").partition("-")[0])]


def _tokens(row: Row) -> Tokens:
    return Tokens(
        row.input_tokens,
        row.output_tokens,
        row.cache_write_5m_tokens,
        row.cache_write_1h_tokens,
        row.cache_read_tokens,
        row.web_searches,
    )


def _own_cost(row: Row) -> int:
    """Return what the tokens of a row cost, of one whose rates are one model's alone."""
    model = row.served_model or row.upstream_model or ""
    return micros_of([(model, tuple(count or 0 for count in _tokens(row)))])


def _check(row: Row, kind: Kind, record: Record) -> None:
    assert row.usage_source == kind.source, (row, kind)
    if kind.source == "none":
        assert (_tokens(row), row.cost_micros, row.price) == (Tokens(), 0, None)
        return
    served = record.get(row.upstream_request_id or "")
    if kind.source == "reported":
        assert served is not None
        assert (row.served_model, row.stop_reason) == (served.model, served.stop_reason)
        assert _tokens(row) == tokens_of(served.usage), (row, kind)
        free = kind.knobs == "refuse=cyber"
        assert row.cost_micros == (0 if free else cost_of(served.usage, served.model))
        return
    assert row.cost_micros == _own_cost(row) > 0
    output = row.output_tokens or 0
    if kind.leaves_after == 0:
        # Nobody but the upstream knows what it had made of it by then.
        assert output <= OUTPUT_TOKENS_PER_S * ((row.total_ms or 0) + 1) / 1000
        return
    made = 0 if served is None else output_of(served)
    if kind.source == "partial":
        assert served is not None
        exact = tokens_of(served.usage)
        assert _tokens(row)._replace(output=None) == exact._replace(output=None)
        if kind.knobs == ENDLESS:
            # What had come when its client was seen to leave; more may have been sent.
            passed = row.bytes_out - RENAMED_BYTES
            read = served.ends[: kind.leaves_after]
            assert read[-1][0] - RENAMED_BYTES <= passed
            assert passed <= served.delivered < served.size
            made = output_of(served, passed)
    # A token is what rounding takes, and what each stream says at its start.
    assert abs(output - made) <= max(0.2 * made, 1), (output, made, row, kind)


@pytest.mark.slow
async def test_each_row_has_the_tokens_and_the_cost_of_what_was_served(tenant: Start) -> None:
    chance = random.Random(2000)
    kinds = [chance.choice(KINDS) for _ in range(COUNT)]
    patient = Timeouts(connect_s=60)  # a row of no connection at all is none of these kinds
    async with tenant(knobs=Knobs(serve_record=True), timeouts=patient) as started:
        gateway, turns = started.gateway, asyncio.Semaphore(AT_ONCE)

        async def one(number: int, kind: Kind) -> None:
            async with turns:
                model = chance.choice(["claude-opus-5-5", "claude-haiku-5-5", "claude-next-9"])
                await _ask(gateway, kind, model, number, cached=chance.random() < 0.5)

        await asyncio.gather(*(one(number, kind) for number, kind in enumerate(kinds)))
        rows = await started.rows(COUNT)
        record = started.served
    assert record is not None
    assert Counter(map(_kind, rows)) == Counter(kinds)
    for row in rows:
        _check(row, _kind(row), record)
