"""An answer as the API writes it: one message object, or the events of a stream."""

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from proxy.sandbox.answer import Answer, Text, Thinking, ToolUse
from proxy.sandbox.prompt import InputUsage, Prompt

BLANK = secrets.token_hex(11)
"""Stands where the unique part of an id belongs, so that an answer can be built once."""


class Event(NamedTuple):
    """One server-sent event; `paced` ones keep their distance (knob `interval`)."""

    frame: bytes
    paced: bool = False


def _frame(name: str, **members: object) -> bytes:
    body = msgspec.json.encode({"type": name, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), body)


PING = _frame("ping")
STOP = Event(_frame("message_stop"))
OVERLOADED = Event(_frame("error", error={"type": "overloaded_error", "message": "Overloaded"}))


Usage = dict[str, Any]
_NONE: Usage = {}
# Told at the end of a stream alone, and at its beginning alone.
_LATE = {"output_tokens", "iterations", "server_tool_use", "output_tokens_details"}
_EARLY = {"cache_creation", "service_tier", "inference_geo", "speed"}


def message(prompt: Prompt, answer: Answer, merged: Usage = _NONE) -> bytes:
    """Return the message object; its ids hold `BLANK`, its usage what is `merged` into it."""
    content = [_block(block) for block in answer.blocks]
    usage = _usage(prompt.usage, answer.output_tokens) | _details(answer) | merged
    end = _end(answer)
    return msgspec.json.encode(_message(prompt, content, end["stop_reason"], usage) | end)


def events(prompt: Prompt, answer: Answer, merged: Usage = _NONE) -> tuple[Event, ...]:
    """Return the events of a stream, message_start first; the ids in them hold `BLANK`."""
    provisional = _usage(prompt.usage, min(1, answer.output_tokens)) | _without(merged, _LATE)
    start = _frame("message_start", message=_message(prompt, [], None, provisional))
    found = [Event(start)]
    for index, block in enumerate(answer.blocks):
        found += _block_events(index, block)
    # The first ping follows the first content_block_start.
    found.insert(min(2, len(found)), Event(PING))
    usage = _cumulative(prompt.usage, answer.output_tokens) | _details(answer)
    usage |= _without(merged, _EARLY)
    found.append(Event(_frame("message_delta", delta=_end(answer), usage=usage)))
    return (*found, STOP)


def _without(usage: Usage, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in usage.items() if name not in names}


def _end(answer: Answer) -> dict[str, Any]:
    end: dict[str, Any] = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    if answer.refusal is not None:
        category = None if answer.refusal == "none" else answer.refusal
        end["stop_details"] = {"type": "refusal", "category": category, "explanation": None}
    return end


def _message(
    prompt: Prompt,
    content: list[dict[str, Any]],
    stop_reason: str | None,
    usage: dict[str, Any],
) -> dict[str, Any]:
    return {
        "id": f"msg_01{BLANK}",
        "type": "message",
        "role": "assistant",
        "model": prompt.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _cumulative(usage: InputUsage, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.cache_5m + usage.cache_1h,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": output_tokens,
    }


def _usage(usage: InputUsage, output_tokens: int) -> dict[str, Any]:
    return _cumulative(usage, output_tokens) | {
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_5m,
            "ephemeral_1h_input_tokens": usage.cache_1h,
        },
        "service_tier": "standard",
    }


def _details(answer: Answer) -> dict[str, Any]:
    if not answer.thinking_tokens:
        return {}
    return {"output_tokens_details": {"thinking_tokens": answer.thinking_tokens}}


def _block(block: Text | Thinking | ToolUse) -> dict[str, Any]:
    whole = "".join(block.pieces)
    match block:
        case Text():
            return {"type": "text", "text": whole}
        case Thinking():
            return {"type": "thinking", "thinking": whole, "signature": block.signature}
        case _:
            return _tool_use(block) | {"input": msgspec.Raw(whole.encode())}


def _tool_use(block: ToolUse) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_01{BLANK}", "name": block.name, "input": {}}


def _block_events(index: int, block: Text | Thinking | ToolUse) -> Iterator[Event]:
    match block:
        case Text():
            opening: dict[str, Any] = {"type": "text", "text": ""}
            deltas = _deltas(index, "text_delta", "text", block.pieces)
        case Thinking():
            opening = {"type": "thinking", "thinking": "", "signature": ""}
            signed = {"type": "signature_delta", "signature": block.signature}
            deltas = (
                *_deltas(index, "thinking_delta", "thinking", block.pieces),
                Event(_frame("content_block_delta", index=index, delta=signed)),
            )
        case _:
            opening = _tool_use(block)
            deltas = _deltas(index, "input_json_delta", "partial_json", block.pieces)
    yield Event(_frame("content_block_start", index=index, content_block=opening))
    yield from deltas
    yield Event(_frame("content_block_stop", index=index))


def _deltas(index: int, kind: str, member: str, pieces: tuple[str, ...]) -> tuple[Event, ...]:
    return tuple(
        Event(_frame("content_block_delta", index=index, delta={"type": kind, member: piece}), True)
        for piece in pieces
    )
