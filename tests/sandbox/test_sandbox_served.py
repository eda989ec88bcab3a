"""The sandbox reports the usage it is told to, refuses when told to, and knows what it served."""

import json
from typing import Any

import pytest

from proxy.sandbox import SERVED, Knobs, Served
from tests.sandbox.client import HEADERS, Sandbox, Start, call

RECORDING = Knobs(serve_record=True)
TOLD = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "speed": "fast",
    "iterations": [{"type": "message", "input_tokens": 7, "output_tokens": 2}],
    "server_tool_use": {"web_search_requests": 2},
}
USAGE = f"usage={json.dumps(TOLD)}"


def last(sandbox: Sandbox) -> Served:
    return list(sandbox.runner.app[SERVED].values())[-1]


def final(events: list[Any]) -> dict[str, Any]:
    """Read the usage of a stream as clients do."""
    usage: dict[str, Any] = {}
    for event in events:
        told = event.get("usage") or event.get("message", {}).get("usage") or {}
        usage |= {name: value for name, value in told.items() if value is not None}
    return usage


async def test_usage_is_merged_into_what_a_message_reports(sandbox: Sandbox) -> None:
    plain = (await sandbox.message(call()))["usage"]
    merged = (await sandbox.message(call(), f"think=0,{USAGE},stamp=0"))["usage"]
    assert merged == {**plain, **TOLD}


async def test_usage_is_merged_into_a_stream_where_the_api_tells_it(sandbox: Sandbox) -> None:
    start, *_, delta, _ = await sandbox.events(call(), USAGE)
    assert start["message"]["usage"]["cache_creation"] == TOLD["cache_creation"]
    assert "iterations" not in start["message"]["usage"]
    assert "cache_creation" not in delta["usage"]
    assert delta["usage"]["iterations"] == TOLD["iterations"]


async def test_a_stream_reports_in_the_end_what_a_message_reports(sandbox: Sandbox) -> None:
    for knobs in ("", USAGE, "think", "refuse=cyber"):
        whole = await sandbox.message(call(), knobs)
        assert final(await sandbox.events(call(), knobs)) == whole["usage"]


@pytest.mark.parametrize(("category", "told"), [("cyber", "cyber"), ("none", None)])
async def test_a_refusal_comes_before_any_output_and_names_its_category(
    sandbox: Sandbox, category: str, told: str | None
) -> None:
    message = await sandbox.message(call(), f"refuse={category}")
    assert (message["content"], message["stop_reason"]) == ([], "refusal")
    assert message["stop_details"]["category"] == told
    assert message["usage"]["output_tokens"] == 0
    *_, delta, _ = await sandbox.events(call(), f"refuse={category}")
    assert delta["delta"]["stop_reason"] == "refusal"
    assert delta["delta"]["stop_details"]["category"] == told


async def test_a_refusal_with_events_comes_behind_them(sandbox: Sandbox) -> None:
    message = await sandbox.message(call(), "refuse=bio,events=3")
    assert message["stop_reason"] == "refusal"
    assert message["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("knobs", ["usage=7", "usage={", "usage=[1]", "usage="])
async def test_a_usage_that_is_no_object_is_refused(sandbox: Sandbox, knobs: str) -> None:
    status, kind, message = await sandbox.error(call(), knobs)
    assert (status, kind) == (400, "invalid_request_error")
    assert "usage" in message


async def test_an_answer_is_on_record_with_its_usage_under_its_request_id(start: Start) -> None:
    sandbox = await start(RECORDING)
    async with await sandbox.post(call(), USAGE) as response:
        usage = (await response.json())["usage"]
    served = sandbox.runner.app[SERVED][response.headers["request-id"]]
    assert (served.usage, served.model, served.stream) == (usage, "claude-haiku-4-5", False)
    assert served.is_complete


async def test_a_stream_is_on_record_with_what_it_tells_in_the_end(start: Start) -> None:
    sandbox = await start(RECORDING)
    events = await sandbox.events(call(), f"think,events=5,{USAGE}")
    served = last(sandbox)
    assert served.usage == final(events)
    assert (served.is_complete, served.stop_reason) == (True, "end_turn")
    assert served.output_tokens > 0


async def test_of_a_stream_that_is_cut_the_record_has_what_was_delivered(start: Start) -> None:
    sandbox = await start(RECORDING)
    body = call() | {"stream": True}
    async with await sandbox.post(body, "events=50,event_bytes=8") as response:
        cut = len(await response.read()) // 2
    assert last(sandbox).output_tokens == 100
    got = await sandbox.raw(body, f"events=50,event_bytes=8,cut={cut}")
    served = last(sandbox)
    assert (served.delivered, served.is_complete) == (cut, False)
    # The last one may be cut itself.
    assert got.count(b'"text_delta"') - served.output_tokens // 2 in (0, 1)


async def test_a_message_that_is_cut_is_not_complete(start: Start) -> None:
    sandbox = await start(RECORDING)
    await sandbox.raw(call(), "cut=10")
    assert (last(sandbox).delivered, last(sandbox).is_complete) == (10, False)


async def test_a_client_that_leaves_a_stream_leaves_the_rest_undelivered(start: Start) -> None:
    sandbox = await start(RECORDING)
    async with await sandbox.post(
        call() | {"stream": True}, "events=1000,interval=0.01"
    ) as response:
        await response.content.read(10)
        response.close()
    assert 0 < last(sandbox).delivered < last(sandbox).size


async def test_the_record_is_shown_over_http(start: Start) -> None:
    sandbox = await start(RECORDING)
    await sandbox.message(call())
    async with sandbox.session.get(sandbox.url + "/sandbox/served") as response:
        ((request_id, shown),) = (await response.json()).items()
    assert request_id.startswith("req_01")
    assert shown["usage"] == last(sandbox).usage
    assert (shown["complete"], shown["delivered_tokens"]) == (True, last(sandbox).output_tokens)


async def test_without_the_knob_there_is_no_record(sandbox: Sandbox) -> None:
    async with sandbox.session.get(sandbox.url + "/sandbox/served", headers=HEADERS) as response:
        assert response.status == 404
    status, _, message = await sandbox.error(call(), "serve_record")
    assert (status, message) == (400, "x-sandbox: serve_record: only at the start")
