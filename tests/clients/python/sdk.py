"""The official Python SDK, 0.x or 2.x, against the gateway: `python -m tests.clients.python.sdk`."""

import asyncio
import json
import os
import time
from itertools import pairwise
from typing import Any

from tests.clients.python import sdk_errors
from tests.clients.python.checks import Checks, require, same
from tests.clients.python.given import (
    HAIKU,
    HI,
    KEY,
    NAMED,
    SAID,
    SONNET,
    TOOL_RESULT,
    TOOL_SAID,
    URL,
    USE_TOOL,
    WEATHER,
    sandbox,
)
from tests.clients.python.sdk_client import HELLO, anthropic, client, create, stream, text_of

CONCURRENT = 40
EVENTS = 500
INTERVAL_S = 0.1

checks = Checks()

ASKED = {"role": "user", "content": USE_TOOL}


def _is_old() -> bool:
    return str(anthropic.__version__).startswith("0.")


@checks("a message, with api_key")
def _() -> None:
    raw = client().messages.with_raw_response.create(**HELLO)
    message = raw.parse()
    sent = raw.http_request.headers
    same(text_of(message), SAID)
    same(message.model, SONNET, "model")
    same((message.type, message.role, message.stop_reason), ("message", "assistant", "end_turn"))
    require(message.usage.input_tokens > 0 < message.usage.output_tokens, f"{message.usage}")
    require(str(raw.headers.get("request-id")).startswith("req_"), "no request-id")
    require(raw.headers.get("anthropic-ratelimit-requests-limit"), "rate limit headers are lost")
    if _is_old():
        same("x-api-key" in sent, True, "x-api-key sent")
    else:
        require(sent["anthropic-version"] != "2023-06-01", "this SDK should send a newer version")


@checks("a message, with auth_token")
def _() -> None:
    bearing = anthropic.Anthropic(base_url=URL, auth_token=KEY, max_retries=0)
    raw = bearing.messages.with_raw_response.create(model=HAIKU, max_tokens=64, messages=HI)
    same(raw.http_request.headers["authorization"], f"Bearer {KEY}")
    same(text_of(raw.parse()), SAID)


@checks("a message, set up by ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY alone")
def _() -> None:
    os.environ.update(ANTHROPIC_BASE_URL=URL, ANTHROPIC_API_KEY=KEY)
    try:
        message = anthropic.Anthropic().messages.create(model=HAIKU, max_tokens=64, messages=HI)
    finally:
        del os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_API_KEY"]
    same(text_of(message), SAID)


@checks("what the upstream sees: body, betas, version and query as sent; no key of the client")
def _() -> None:
    raw = client().beta.messages.with_raw_response.create(
        **HELLO,
        betas=["some-beta-2026-01-01"],
        extra_headers=sandbox("echo=2"),
        extra_body={"unknown_member": {"b": 1, "a": [1.50, "ä"]}},
    )
    sent, seen = raw.http_request, json.loads(text_of(raw.parse()))
    headers = {name.lower(): value for name, value in seen["headers"]}
    for name in ("anthropic-version", "anthropic-beta", "user-agent"):
        same(headers.get(name), sent.headers[name], name)
    same(URL + seen["path_qs"], str(sent.url))
    require(KEY not in json.dumps(seen), "the client's key reached the upstream")
    wanted = sent.content.replace(SONNET.encode(), b"claude-sonnet-4-6")
    same(seen["body"].encode("latin-1"), wanted, "body")


@checks("the text helper of a stream")
def _() -> None:
    with client().messages.stream(**HELLO) as streamed:
        pieces = list(streamed.text_stream)
        message = streamed.get_final_message()
    require(len(pieces) > 1, "one piece only")
    same("".join(pieces), SAID)
    same((message.model, message.stop_reason), (SONNET, "end_turn"))
    require(message.usage.input_tokens > 0 < message.usage.output_tokens, f"{message.usage}")


@checks("the raw events of a stream")
def _() -> None:
    events = list(stream())
    kinds = [event.type for event in events if event.type != "ping"]
    wanted = ["message_start", "content_block_start", "content_block_delta"]
    same(list(dict.fromkeys(kinds))[:3], wanted)
    same(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
    same(events[0].message.model, SONNET)


@checks(f"a stream of {EVENTS} events loses none")
def _() -> None:
    events = list(stream(f"events={EVENTS},event_bytes=100"))
    deltas = [len(event.delta.text) for event in events if event.type == "content_block_delta"]
    same(deltas, [100] * EVENTS)


@checks("a slow stream arrives as it is sent")
def _() -> None:
    arrivals = [
        time.monotonic()
        for event in stream(f"events=6,interval={INTERVAL_S}")
        if event.type == "content_block_delta"
    ]
    gaps = [after - before for before, after in pairwise(arrivals)]
    same(len(gaps), 5)
    require(min(gaps) > INTERVAL_S / 4, f"held back: {gaps}")


@checks("a silent stream is kept alive by pings and goes on")
def _() -> None:
    with client().messages.stream(
        **HELLO, extra_headers=sandbox("events=2,interval=1.8")
    ) as streamed:
        require(streamed.get_final_text().startswith(SAID), "another text")


@checks("a stream that is left halfway harms nobody")
def _() -> None:
    with client().messages.create(
        **HELLO,
        stream=True,
        extra_headers=sandbox("events=50,interval=0.1"),
    ) as streamed:
        next(iter(streamed))
    same(text_of(create()), SAID)


@checks("compressed answers, whole and streamed")
def _() -> None:
    same(text_of(create("encoding=gzip")), SAID)
    require("message_stop" in {event.type for event in stream("encoding=gzip")}, "no end")


@checks("a thinking block keeps its signature")
def _() -> None:
    whole = create("think").content[0]
    with client().messages.stream(**HELLO, extra_headers=sandbox("think")) as streamed:
        first = streamed.get_final_message().content[0]
    same((whole.type, first.type), ("thinking", "thinking"))
    require(first.signature, "no signature")
    same((first.thinking, first.signature), (whole.thinking, whole.signature))


@checks("a tool call and its result")
def _() -> None:
    call = client().messages.create(model=SONNET, max_tokens=64, messages=[ASKED], tools=[WEATHER])
    _finish_tool_call(call)


@checks("a streamed tool call and its result")
def _() -> None:
    with client().messages.stream(
        model=SONNET, max_tokens=64, messages=[ASKED], tools=[WEATHER]
    ) as streamed:
        call = streamed.get_final_message()
    _finish_tool_call(call)


def _finish_tool_call(call: Any) -> None:
    used = call.content[-1]
    same((call.stop_reason, used.type), ("tool_use", "tool_use"))
    same((used.name, used.input), ("get_weather", {"city": "Oslo"}))
    result = {"type": "tool_result", "tool_use_id": used.id, "content": TOOL_RESULT}
    conversation = [
        ASKED,
        {"role": "assistant", "content": call.content},
        {"role": "user", "content": [result]},
    ]
    answer = client().messages.create(
        model=SONNET, max_tokens=64, messages=conversation, tools=[WEATHER]
    )
    same(text_of(answer), TOOL_SAID)


@checks("count_tokens")
def _() -> None:
    counted = client().messages.count_tokens(model=SONNET, messages=HI, system="Be brief.")
    require(counted.input_tokens > 0, f"{counted}")


@checks("the model list, page by page")
def _() -> None:
    listed = [model.id for model in client().models.list(limit=1)]
    same(listed[: len(NAMED)], NAMED)
    same(len(listed), len(set(listed)), "different ids")


@checks("one model")
def _() -> None:
    for asked in (HAIKU, "claude-haiku-4-5"):
        model = client().models.retrieve(asked)
        same((model.id, model.type), (HAIKU, "model"))


@checks("a bare id without vendor")
def _() -> None:
    message = client().messages.create(model="claude-opus-5-5", max_tokens=64, messages=HI)
    same((text_of(message), message.model), (SAID, "claude-opus-5-5"))


@checks(f"the async client: create, stream, {CONCURRENT} streams at once")
def _() -> None:
    async def one(using: Any) -> str:
        async with using.messages.stream(
            **HELLO, extra_headers=sandbox("events=4,interval=0.1")
        ) as streamed:
            return str(await streamed.get_final_text())

    async def everything() -> None:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0) as using:
            message = await using.messages.create(**HELLO)
            same(text_of(message), SAID)
            texts = await asyncio.gather(*(one(using) for _ in range(CONCURRENT)))
            same(texts, [SAID] * CONCURRENT)

    asyncio.run(everything())


if __name__ == "__main__":
    sdk_errors.add(checks)
    checks.run()
