"""Two thousand requests of all kinds: each row's tokens and cost are what the sandbox says it served."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from typing import Any, NamedTuple

import aiohttp
import pytest
from msgspec.structs import replace

from proxy.ledger.row import Row
from proxy.money import price_file
from proxy.money.usage import Sums, sums, tokens_of
from proxy.sandbox import Knobs, Record, Served
from tests.support.gateways import HEADERS, Running
from tests.tenancy.conftest import Start

COUNT = 2000
AT_ONCE = 40
TABLE = price_file.load()
STREAMED = "events=30,event_bytes=80"
TOKENS_OF_A_DELTA = 20
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
        leaves: whether the client leaves amid the answer.
        counts: whether it only counts tokens.
    """

    knobs: str
    stream: bool
    source: str
    leaves: bool = False
    counts: bool = False


KINDS = (
    Kind("", stream=False, source="reported"),
    Kind("think", stream=True, source="reported"),
    Kind(STREAMED, stream=True, source="reported"),
    Kind(f"usage={ADVISED}", stream=False, source="reported"),
    Kind(f"usage={ADVISED}", stream=True, source="reported"),
    Kind(f"usage={HOURS}", stream=True, source="reported"),
    Kind("refuse=cyber", stream=True, source="reported"),
    Kind("refuse=bio", stream=False, source="reported"),
    # Message start has 500 bytes; a delta 190.
    Kind(f"{STREAMED},cut=3000", stream=True, source="partial"),
    Kind(f"{STREAMED},no_stop", stream=True, source="partial"),
    Kind(f"{STREAMED},overloaded_at=20", stream=True, source="partial"),
    Kind(f"{STREAMED},interval=0.01", stream=True, source="partial", leaves=True),
    Kind("cut=40", stream=False, source="estimated"),
    Kind("cut=-1", stream=True, source="estimated"),
    Kind("encoding=gzip", stream=False, source="estimated"),
    Kind("status=529", stream=True, source="none"),
    Kind("status=400", stream=False, source="none"),
    Kind("", stream=False, source="none", counts=True),
)


async def _ask(gateway: Running, kind: Kind, model: str, *, cached: bool) -> None:
    call: dict[str, Any] = {
        "model": f"anthropic/{model}",
        "messages": [{"role": "user", "content": "tell me about every model"}],
        "system": [CACHED] if cached else "be brief",
    }
    if not kind.counts:
        call |= {"max_tokens": 4096, "stream": kind.stream}
    path = "/v1/messages/count_tokens" if kind.counts else "/v1/messages"
    # A session id is a column of the row: here it says which kind this was.
    told = {"x-sandbox": kind.knobs, "x-claude-code-session-id": str(KINDS.index(kind))}
    with contextlib.suppress(aiohttp.ClientError):
        async with gateway.session.post(
            gateway.url + path, json=call, headers={**HEADERS, **told}
        ) as reply:
            if kind.leaves:
                await reply.content.readexactly(2500)
                reply.close()
            else:
                await reply.read()


def _tokens(row: Row) -> Sums:
    return Sums(
        row.input_tokens,
        row.output_tokens,
        row.cache_write_5m_tokens,
        row.cache_write_1h_tokens,
        row.cache_read_tokens,
        row.web_searches,
    )


def _cost(served: Served, *, output_tokens: int | None = None) -> int:
    """Reckon what an answer cost; of one that was cut, with other output."""
    billed = tokens_of(served.usage)
    if output_tokens is not None:
        billed = (replace(billed[0], output=output_tokens),)
    modifiers = TABLE.modifiers("first", geo=served.usage.get("inference_geo"))
    nanos = sum(
        TABLE.find(each.model or served.model, "").nanos(each, modifiers) for each in billed
    )
    return (nanos + 500) // 1000


def _check(row: Row, kind: Kind, record: Record) -> None:
    assert row.usage_source == kind.source
    if kind.source == "none":
        assert (_tokens(row), row.cost_micros, row.price) == (Sums(), 0, None)
    elif kind.source == "estimated":
        assert row.cost_micros > 0
    else:
        served = record[row.upstream_request_id or ""]
        exact = sums(served.usage, tokens_of(served.usage))
        assert row.served_model == served.model
        if kind.source == "reported":
            assert _tokens(row) == exact
            assert row.cost_micros == (0 if kind.knobs == "refuse=cyber" else _cost(served))
            return
        assert replace(_tokens(row), output_tokens=0) == replace(exact, output_tokens=0)
        output = row.output_tokens or 0
        assert row.cost_micros == _cost(served, output_tokens=output)
        # What was on its way when a client left is more on a loaded machine.
        slack = 5 * TOKENS_OF_A_DELTA if kind.leaves else 1
        assert abs(output - served.output_tokens) <= max(0.2 * served.output_tokens, slack)


@pytest.mark.slow
async def test_each_row_has_the_tokens_and_the_cost_of_what_was_served(tenant: Start) -> None:
    chance = random.Random(2000)
    kinds = [chance.choice(KINDS) for _ in range(COUNT)]
    async with tenant(knobs=Knobs(serve_record=True)) as started:
        gateway, turns = started.gateway, asyncio.Semaphore(AT_ONCE)

        async def one(kind: Kind) -> None:
            async with turns:
                model = chance.choice(["claude-opus-5-5", "claude-haiku-5-5", "claude-next-9"])
                await _ask(gateway, kind, model, cached=chance.random() < 0.5)

        await asyncio.gather(*map(one, kinds))
        rows = await started.rows(COUNT)
        record = started.served
    assert record is not None
    asked = Counter(KINDS.index(kind) for kind in kinds)
    assert Counter(int(row.session_id or "-1") for row in rows) == asked
    for row in rows:
        _check(row, KINDS[int(row.session_id or "-1")], record)
