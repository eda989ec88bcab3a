"""The sandbox answers as the Messages API does."""

import hashlib
import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.sandbox.client import HEADERS, Sandbox, call, text_of

TOOL = {
    "name": "Bash",
    "input_schema": {
        "type": "object",
        "required": ["command"],
        "properties": {"command": {"type": "string"}},
    },
}


async def test_message_says_what_the_user_said(sandbox: Sandbox) -> None:
    message = await sandbox.message(call("say hi"))
    assert message["content"] == [{"type": "text", "text": "You said: say hi"}]
    assert message["model"] == "claude-haiku-4-5"
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["id"].startswith("msg_01")


async def test_answer_differs_between_requests_only_in_its_ids(sandbox: Sandbox) -> None:
    first, second = await sandbox.message(call()), await sandbox.message(call())
    assert first.pop("id") != second.pop("id")
    assert first == second


async def test_ids_of_a_stream_are_unique_and_match_its_request_id(sandbox: Sandbox) -> None:
    seen = set()
    for _ in range(2):
        async with await sandbox.post(call(stream=True)) as response:
            token = response.headers["request-id"].removeprefix("req_01")
            assert f'"id":"msg_01{token}"' in await response.text()
            seen.add(token)
    assert len(seen) == 2


async def test_stream_has_the_events_of_the_api_in_order(sandbox: Sandbox) -> None:
    events = await sandbox.events(call("say hi"))
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert text_of(events) == "You said: say hi"


async def test_stream_and_message_report_the_same_usage(sandbox: Sandbox) -> None:
    body = call(system=[{"type": "text", "text": "s" * 400, "cache_control": {}}])
    usage = (await sandbox.message(body))["usage"]
    events = await sandbox.events(body)
    start, final = events[0]["message"]["usage"], events[-2]["usage"]
    assert start["output_tokens"] == 1
    assert start | final == usage
    assert usage["cache_creation"]["ephemeral_5m_input_tokens"] > 100
    assert set(start) == {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens",
        "service_tier",
    }


async def test_long_answer_is_eight_deltas_at_most(sandbox: Sandbox) -> None:
    events = await sandbox.events(call("word " * 30))
    assert [event["type"] for event in events].count("content_block_delta") == 8


async def test_max_tokens_cuts_the_text(sandbox: Sandbox) -> None:
    message = await sandbox.message(call("quota", max_tokens=1))
    assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["output_tokens"] == 1
    assert message["content"][0]["text"] == "You "


async def test_max_tokens_zero_answers_nothing(sandbox: Sandbox) -> None:
    message = await sandbox.message(call(max_tokens=0))
    assert (message["content"], message["stop_reason"]) == ([], "max_tokens")
    assert message["usage"]["output_tokens"] == 0
    events = await sandbox.events(call(max_tokens=0))
    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]


async def test_prompt_without_text_gets_a_greeting(sandbox: Sandbox) -> None:
    assert (await sandbox.message(call([])))["content"][0]["text"] == "Hello."


async def test_long_prompt_is_quoted_in_part(sandbox: Sandbox) -> None:
    text = (await sandbox.message(call("é" * 5000)))["content"][0]["text"]
    assert text == "You said: " + "é" * 200


async def test_asked_tool_is_called_with_the_given_input(sandbox: Sandbox) -> None:
    body = call('use the tool bash with {"command":"echo hi","description":"é"}', tools=[TOOL])
    message = await sandbox.message(body)
    block = message["content"][0]
    assert message["stop_reason"] == "tool_use"
    assert (block["type"], block["name"]) == ("tool_use", "Bash")
    assert block["id"].startswith("toolu_01")
    assert block["input"] == {"command": "echo hi", "description": "é"}


async def test_streamed_tool_input_is_the_same_json(sandbox: Sandbox) -> None:
    body = call('use the tool Bash with {"command":"echo hi"}', tools=[TOOL])
    events = await sandbox.events(body)
    assert events[1]["content_block"]["input"] == {}
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert {delta["type"] for delta in deltas} == {"input_json_delta"}
    assert json.loads("".join(delta["partial_json"] for delta in deltas)) == {"command": "echo hi"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("schema", "given"),
    [(TOOL["input_schema"], {"command": "sandbox"}), (None, {}), ({"type": "string"}, {})],
)
async def test_tool_input_is_made_up_when_none_is_given(
    sandbox: Sandbox, schema: Any, given: Any
) -> None:
    tool = {"name": "Bash", "input_schema": schema}
    message = await sandbox.message(call("use the tool Bash", tools=[tool]))
    assert message["content"][0]["input"] == given


async def test_tool_result_is_told(sandbox: Sandbox) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "hi there"}
    message = await sandbox.message(call([result], tools=[TOOL]))
    assert message["content"][0]["text"] == "The tool answered: hi there"
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("member", ["output_config", "output_format"])
async def test_asked_schema_is_satisfied(sandbox: Sandbox, member: str) -> None:
    schema = {
        "type": "object",
        "required": ["title"],
        "properties": {"title": {"type": "string"}},
    }
    wanted: dict[str, Any] = {"type": "json_schema", "schema": schema}
    body = call("name this", **{member: {"format": wanted} if "config" in member else wanted})
    text = (await sandbox.message(body))["content"][0]["text"]
    assert json.loads(text) == {"title": "You said: name this"}


async def test_thinking_comes_first_with_a_signature(sandbox: Sandbox) -> None:
    message = await sandbox.message(call(), "think=1")
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert message["content"][0]["signature"]
    assert message["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    events = await sandbox.events(call(), "think=1")
    kinds = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert kinds[:3] == ["thinking_delta", "signature_delta", "text_delta"]
    assert [event["index"] for event in events if event["type"] == "content_block_stop"] == [0, 1]


async def test_thinking_that_does_not_fit_is_left_out(sandbox: Sandbox) -> None:
    message = await sandbox.message(call(max_tokens=2), "think=1")
    assert [block["type"] for block in message["content"]] == ["text"]


async def test_count_tokens_counts_what_the_message_bills(sandbox: Sandbox) -> None:
    body = call(system="s" * 400, tools=[TOOL])
    usage = (await sandbox.message(body))["usage"]
    del body["max_tokens"]
    async with await sandbox.post(body, path="/v1/messages/count_tokens") as response:
        assert await response.json() == {"input_tokens": usage["input_tokens"]}
        assert usage["input_tokens"] > 100


async def get(sandbox: Sandbox, path: str) -> ClientResponse:
    return await sandbox.session.get(sandbox.url + path, headers=HEADERS)


async def listed(sandbox: Sandbox, query: str) -> Any:
    async with await get(sandbox, "/v1/models" + query) as response:
        return await response.json()


async def test_models_can_be_paged_forwards_and_backwards(sandbox: Sandbox) -> None:
    everything = await listed(sandbox, "")
    ids = [model["id"] for model in everything["data"]]
    assert not everything["has_more"]
    assert (everything["first_id"], everything["last_id"]) == (ids[0], ids[-1])
    second = await listed(sandbox, f"?limit=2&after_id={ids[1]}")
    assert [model["id"] for model in second["data"]] == ids[2:4]
    assert second["has_more"]
    back = await listed(sandbox, f"?limit=2&before_id={ids[3]}")
    assert [model["id"] for model in back["data"]] == ids[1:3]
    assert back["has_more"]
    first = await listed(sandbox, f"?before_id={ids[2]}")
    assert [model["id"] for model in first["data"]] == ids[:2]
    assert not first["has_more"]
    past = await listed(sandbox, f"?after_id={ids[-1]}")
    assert past == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: must be 1 to 1000"),
        ("limit=1001", "limit: must be 1 to 1000"),
        ("limit=x", "limit: must be 1 to 1000"),
        ("after_id=nope", "after_id: unknown model nope"),
        ("after_id=a&before_id=b", "before_id and after_id cannot be used together"),
    ],
)
async def test_wrong_page_is_refused(sandbox: Sandbox, query: str, message: str) -> None:
    async with await get(sandbox, f"/v1/models?{query}") as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"] == message


@pytest.mark.parametrize(
    ("model", "name"),
    [("claude-haiku-4-5", "Claude Haiku 4.5"), ("claude-new-9", "Claude New 9")],
)
async def test_any_claude_model_can_be_looked_up(sandbox: Sandbox, model: str, name: str) -> None:
    async with await get(sandbox, f"/v1/models/{model}") as response:
        found = await response.json()
    assert (found["type"], found["id"], found["display_name"]) == ("model", model, name)


async def test_other_models_cannot_be_looked_up(sandbox: Sandbox) -> None:
    async with await get(sandbox, "/v1/models/gpt%2F1") as response:
        assert response.status == 404
        assert (await response.json())["error"]["message"] == "model: gpt/1"


@pytest.mark.parametrize("path", ["/", "/api/hello"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hello_needs_no_credential(sandbox: Sandbox, method: str, path: str) -> None:
    async with sandbox.session.request(method, sandbox.url + path) as response:
        assert response.status == 200


async def test_every_answer_has_request_id_and_rate_limits(sandbox: Sandbox) -> None:
    for path in ("/", "/v1/models", "/v1/models/claude-opus-5", "/nowhere"):
        async with await get(sandbox, path) as response:
            assert response.headers["request-id"].startswith("req_01")
            assert "anthropic-ratelimit-requests-remaining" in response.headers


async def test_echo_shows_the_request_as_it_arrived(sandbox: Sandbox) -> None:
    body = call("ü", max_tokens=1)
    sent = json.dumps(body).encode()
    async with await sandbox.post(body, "echo=2", "/v1/messages?beta=true", **{"X-oDD": "1"}) as r:
        echoed = json.loads((await r.json())["content"][0]["text"])
    assert (echoed["method"], echoed["path_qs"]) == ("POST", "/v1/messages?beta=true")
    assert ["X-oDD", "1"] in echoed["headers"]
    assert echoed["headers"][0][0] == "Host"
    assert echoed["body"].encode("latin-1") == sent
    assert echoed["body_sha256"] == hashlib.sha256(sent).hexdigest()
    assert echoed["body_bytes"] == len(sent)


async def test_echo_is_whole_in_a_stream_and_may_leave_the_body_out(sandbox: Sandbox) -> None:
    events = await sandbox.events(call(max_tokens=1), "echo=1,events=5,think")
    echoed = json.loads(text_of(events))
    assert set(echoed) == {"method", "path_qs", "headers", "body_sha256", "body_bytes"}
