"""Against a server that knows what it served: bills are exact where it told its tokens, nearly so where it broke."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from proxy import Quota, RateLimits
from proxy.exchange import Exchange
from proxy.money import price_file
from proxy.money.bill import Bill, UsageSource, bill
from proxy.money.usage import sums, tokens_of
from proxy.sandbox import SERVED, Knobs, Record, serve_sandbox
from proxy.tenancy.facts import facts_of
from tests.support.gateways import HEADERS, Running, config_for, running

TABLE = price_file.load()
CACHED = {"type": "text", "text": "a system prompt " * 400, "cache_control": {"type": "ephemeral"}}
ADVISED = json.dumps(
    {
        "iterations": [
            {"type": "message", "input_tokens": 9, "output_tokens": 90},
            {"type": "advisor_message", "model": "claude-opus-5-5", "output_tokens": 40},
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
STREAMED = "events=40,event_bytes=60"


class Billed:
    """Bills by the `request-id` that the upstream gave."""

    def __init__(self) -> None:
        self.bills: dict[str, Bill] = {}
        self.more = asyncio.Event()

    def ended(self, exchange: Exchange) -> None:
        self.bills[exchange.request_id] = bill(facts_of(exchange), TABLE)
        self.more.set()

    async def of(self, request_id: str) -> Bill:
        async with asyncio.timeout(10):
            while request_id not in self.bills:
                self.more.clear()
                await self.more.wait()
        return self.bills[request_id]


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Running, Record, Billed]]:
    runner = await serve_sandbox("127.0.0.1", 0, Knobs(serve_record=True))
    app = runner.app
    assert isinstance(app, web.Application)
    try:
        # With a limit: what only costs depend on is read of a request when somebody reckons them.
        quota = Quota(each_key_limits=RateLimits(requests_per_minute=100_000))
        config = config_for(f"http://127.0.0.1:{runner.addresses[0][1]}", quota=quota)
        async with running(config) as gateway:
            billed = Billed()
            gateway.gateway._observers += (billed,)
            yield gateway, app[SERVED], billed
    finally:
        await runner.cleanup()


def body(model: str, *, stream: bool, **more: Any) -> bytes:
    call = {
        "model": f"anthropic/{model}",
        "max_tokens": 4096,
        "stream": stream,
        "messages": [{"role": "user", "content": "tell me about every model"}],
        **more,
    }
    return json.dumps(call).encode()


async def ask(gateway: Running, sent: bytes, knobs: str, *, leave_after: int = 0) -> str:
    """Send a request, read the answer or a part of it, and return the upstream's `request-id`."""
    headers = {**HEADERS, "x-sandbox": knobs}
    async with gateway.session.post(
        gateway.url + "/v1/messages", data=sent, headers=headers
    ) as reply:
        if leave_after:
            await reply.content.readexactly(leave_after)
            reply.close()
        else:
            with contextlib.suppress(aiohttp.ClientError):
                await reply.read()
        return reply.headers["request-id"]


@pytest.mark.parametrize("stream", [False, True], ids=["message", "stream"])
@pytest.mark.parametrize("knobs", ["", STREAMED, f"usage={HOURS}", f"usage={ADVISED}", "think"])
@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-5-5", "claude-next-9"])
async def test_a_complete_answer_costs_what_it_told(
    model: str, knobs: str, *, stream: bool
) -> None:
    async with served() as (gateway, record, billed):
        for system in ([], [CACHED]):
            request_id = await ask(gateway, body(model, stream=stream, system=system), knobs)
            found, truth = await billed.of(request_id), record[request_id]
            told = tokens_of(truth.usage)
            assert (found.usage_source, found.billed) == (UsageSource.REPORTED, told)
            assert found.sums == sums(truth.usage, told)
            geo = truth.usage.get("inference_geo")
            modifiers = TABLE.modifiers("first", geo=geo, tier="standard")
            nanos = sum(TABLE.find(each.model or model, "").nanos(each, modifiers) for each in told)
            assert found.cost_micros == (nanos + 500) // 1000


async def test_a_stream_cut_after_any_event_costs_its_input_exactly_and_nearly_its_output() -> None:
    async with served() as (gateway, record, billed):
        sent = body("claude-sonnet-5-5", stream=True, system=[CACHED])
        whole = await ask(gateway, sent, STREAMED)
        assert (await billed.of(whole)).usage_source is UsageSource.REPORTED
        # Message start, block start, ping, then the deltas; behind them the end.
        for end, _ in record[whole].ends[:-1]:
            request_id = await ask(gateway, sent, f"{STREAMED},cut={end}")
            found, truth = await billed.of(request_id), record[request_id]
            exact = sums(truth.usage, tokens_of(truth.usage))
            assert found.usage_source is UsageSource.PARTIAL
            assert replace(found.sums, output_tokens=None) == replace(exact, output_tokens=None)
            reported = 1
            assert found.output == pytest.approx(max(reported, truth.output_tokens), rel=0.2)


async def test_a_client_that_leaves_after_any_event_pays_nearly_what_went_by() -> None:
    async with served() as (gateway, record, billed):
        sent = body("claude-sonnet-5-5", stream=True)
        for leave_after in range(400, 4000, 700):
            knobs = f"{STREAMED},interval=0.01"
            request_id = await ask(gateway, sent, knobs, leave_after=leave_after)
            found, truth = await billed.of(request_id), record[request_id]
            assert found.usage_source is UsageSource.PARTIAL
            assert found.sums.input_tokens == truth.usage["input_tokens"]
            # What the upstream wrote last may still have been on its way.
            last_deltas = 3 * 15
            assert abs(found.output - truth.output_tokens) <= max(
                0.2 * truth.output_tokens, last_deltas
            )


async def test_refusals_and_errors_cost_nothing_and_a_billed_refusal_costs_its_input() -> None:
    async with served() as (gateway, record, billed):
        for stream in (False, True):
            sent = body("claude-opus-5-5", stream=stream)
            free = await billed.of(await ask(gateway, sent, "refuse=cyber"))
            assert (free.usage_source, free.cost_micros) == (UsageSource.REPORTED, 0)
            request_id = await ask(gateway, sent, "refuse=bio")
            fresh = record[request_id].usage["input_tokens"]
            assert (await billed.of(request_id)).cost_micros == fresh * 4
            failed = await billed.of(await ask(gateway, sent, "status=529"))
            assert (failed.usage_source, failed.cost_micros) == (UsageSource.NONE, 0)
        overloaded = await billed.of(await ask(gateway, sent, f"{STREAMED},overloaded_at=20"))
        assert overloaded.usage_source is UsageSource.PARTIAL
        # 17 deltas of 60 characters.
        assert overloaded.output == pytest.approx(17 * 15, rel=0.2)
        first = await billed.of(await ask(gateway, sent, "overloaded_at=0"))
        assert first.usage_source is UsageSource.NONE
