"""One row a request with a known key, whatever became of it; none for strangers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.access.keys import digest
from proxy.access.records import KeyRecord
from proxy.exchange import Phase
from proxy.sandbox import Knobs
from proxy.store.keys import Keys
from tests.ledger.rows import until
from tests.store.rows import opened
from tests.support.gateways import BODY, HEADERS, MODEL, STREAM_BODY
from tests.tenancy.conftest import Start

HINTS = {
    "x-claude-code-session-id": "session-1",
    "x-claude-code-agent-id": "agent-1",
    "x-claude-code-parent-agent-id": "agent-0",
    "x-claude-code-prompt-id": "prompt-1",
    "x-claude-code-request-class": "subagent",
    "x-claude-code-agent-type": "Explore",
    "x-claude-code-context-compacted": "1",
    "x-anyrouter-tag": "repo=o/n",
    "x-stainless-retry-count": "2",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


@pytest.mark.parametrize("body", [BODY, STREAM_BODY], ids=["json", "stream"])
async def test_a_message_leaves_a_row_with_everything(tenant: Start, body: bytes) -> None:
    async with tenant() as started:
        async with started.gateway.post(body, headers=HINTS) as response:
            text = await response.read()
            request_id = response.headers["request-id"]
        (row,) = await started.rows(1)
        (line,) = started.gateway.log
    assert row.id.startswith("req_")
    assert row.upstream_request_id == request_id
    assert (row.key, row.owner, row.endpoint) == ("tester", "team-a", "messages")
    assert (row.model, row.upstream, row.upstream_model) == (MODEL, "first", "claude-sonnet-4-6")
    assert (row.status, row.cause, row.stop_reason) == (200, None, "end_turn")
    assert row.stream == int(body is STREAM_BODY)
    assert (row.bytes_in, row.bytes_out) == (len(body), len(text))
    assert (row.input_tokens, row.output_tokens) == (
        line["usage"]["input_tokens"],
        line["usage"]["output_tokens"],
    )
    assert (row.usage_source, row.price) == ("reported", "claude-sonnet-4-6@2026-11-20")
    assert row.cost_micros > 0
    assert (row.session_id, row.agent_id, row.parent_agent_id) == (
        "session-1",
        "agent-1",
        "agent-0",
    )
    assert (row.prompt_id, row.request_class, row.agent_type) == ("prompt-1", "subagent", "Explore")
    assert (row.compacted, row.tag, row.client_retry) == (1, "repo=o/n", 2)
    assert row.client == "claude-cli/2.1.330"
    assert row.first_byte_ms is not None
    assert row.total_ms is not None
    assert 0 <= row.first_byte_ms <= row.total_ms
    assert row.gateway_us is not None
    assert 0 < row.gateway_us <= 1000 * (row.first_byte_ms + 1)
    assert (row.trace_id, row.parent_span_id, row.span_id) == (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
        None,
    )


async def test_what_the_gateway_took_is_without_the_wait_for_a_body(tenant: Start) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield BODY[:20]
        async with asyncio.timeout(5):
            while not any(each.phase is Phase.REQUEST_BODY for each in in_flight):  # noqa: ASYNC110 - a phase has no event
                await asyncio.sleep(0)
        await asyncio.sleep(0.1)  # the client takes its time
        yield BODY[20:]

    async with tenant() as started:
        gateway = started.gateway
        in_flight = gateway.gateway.deadlines.in_flight
        async with gateway.session.post(
            f"{gateway.url}/v1/messages", data=slowly(), headers=HEADERS
        ) as response:
            assert response.status == 200
        (row,) = await started.rows(1)
    assert row.gateway_us is not None
    assert row.first_byte_ms is not None
    assert 0 < row.gateway_us <= 1000 * (row.first_byte_ms + 1 - 100)


async def test_what_was_not_sent_on_took_the_gateway_no_time_that_is_told(tenant: Start) -> None:
    async with tenant() as started:
        async with started.gateway.post(b"{}") as response:
            assert response.status == 400
        (row,) = await started.rows(1)
    assert row.gateway_us is None


async def test_strangers_and_probes_leave_none(tenant: Start) -> None:
    async with tenant() as started:
        gateway = started.gateway
        async with gateway.post(headers={"x-api-key": "ar-nobody-0123"}) as response:
            assert response.status == 401
        for path in ("/healthz", "/nowhere"):
            async with gateway.session.get(gateway.url + path) as response:
                await response.read()
        async with gateway.post() as response:
            await response.read()
        assert len(await started.rows(1)) == 1


async def test_what_was_not_reported_is_not_zero(tenant: Start) -> None:
    async with tenant() as started:
        async with started.gateway.post(b"{}") as response:
            assert response.status == 400
        (row,) = await started.rows(1)
    assert (row.cause, row.status, row.usage_source) == ("invalid_request", 400, "none")
    assert (row.input_tokens, row.output_tokens, row.cost_micros) == (None, None, 0)


async def test_rows_of_the_last_moment_are_stored_before_the_end(tenant: Start) -> None:
    async with tenant() as started:
        for _ in range(5):
            async with started.gateway.post() as response:
                await response.read()
    assert len(await started.rows(5)) == 5


async def test_a_client_that_leaves_a_stream_pays_for_what_it_got(tenant: Start) -> None:
    async with tenant(knobs=Knobs(interval=0.2)) as started:
        async with started.gateway.post(STREAM_BODY) as response:
            await response.content.readuntil(b"content_block_delta")
        async with asyncio.timeout(10):
            (row,) = await started.rows(1)
    assert (row.cause, row.usage_source) == ("client_closed", "partial")
    assert row.input_tokens is not None
    assert row.cost_micros > 0


async def test_a_key_whose_owner_is_nowhere_is_told(
    tenant: Start, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(store_url) as engine:
        Keys(engine, "test", ("gone",)).create(
            KeyRecord(name="orphan", owner="gone"), digest("ar-orphan-0123"), 1
        )
    async with tenant():
        await until(lambda: "key orphan has an owner who is neither" in caplog.text)


async def test_a_key_of_the_store_is_named_by_the_greeting_and_leaves_no_row(
    tenant: Start, store_url: str
) -> None:
    async with tenant() as started:
        with opened(store_url) as engine:
            Keys(engine, "test").create(KeyRecord(name="managed"), digest("ar-managed-0123"), 1)
        url = f"{started.gateway.url}/hello"
        async with asyncio.timeout(30):
            name = None
            while name is None:
                async with started.gateway.session.get(
                    url, headers={"x-api-key": "ar-managed-0123"}
                ) as response:
                    name = (await response.json()).get("key")
        assert name == "managed"
        assert started.gateway.log[-1]["path"] == "/api/hello"
        async with started.gateway.post() as response:
            await response.read()
        assert [row.key for row in await started.rows(1)] == ["tester"]
