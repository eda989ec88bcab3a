"""Request bodies of the workloads: synthetic, seeded, so every run sends the same bytes."""

import json
import random
from functools import cache
from typing import Any

MODEL = "anthropic/claude-haiku-4.5"
SMALL_BYTES = 110
AGENT_BYTES = 108_000
CONVERSATION_BYTES = 1_000_000
CONVERSATION_MESSAGES = 600

_SYLLABLES = [consonant + vowel for consonant in "bdfklmnprstv" for vowel in "aeiou"]
# What makes JSON strings costly: escapes, and characters beyond ASCII.
_SPICE_SHARE = 0.04
_SPICE = ("\n", '"quoted"', "`name`", "→", "\t", "é", "C:\\temp", "\n\n")


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4)))


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(
        rng.choice(_SPICE) if rng.random() < _SPICE_SHARE else _word(rng) for _ in range(words)
    )


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _padded(body: dict[str, Any], text_block: dict[str, Any], size_bytes: int) -> bytes:
    """Encode with ASCII appended to one text until the body has exactly the size asked for."""
    missing = size_bytes - len(_encode(body))
    if missing < 0:
        raise ValueError(f"the body is {-missing} bytes longer than {size_bytes}")
    filler = ("lorem ipsum dolor sit amet " * (missing // 27 + 1))[:missing]
    field = "text" if "text" in text_block else "content"
    text_block[field] += filler
    return _encode(body)


@cache
def small_body(*, stream: bool = False) -> bytes:
    """Make a one-message request: 110 bytes, or a little more with `stream`."""
    message = {"role": "user", "content": "Hi"}
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "messages": [message]}
    if stream:
        body["stream"] = True
    return _padded(body, message, SMALL_BYTES + (14 if stream else 0))


def _tool(rng: random.Random, number: int) -> dict[str, Any]:
    properties = {
        f"{_word(rng)}_{index}": {"type": "string", "description": _prose(rng, 25)}
        for index in range(rng.randint(2, 7))
    }
    return {
        "name": f"Tool{number}",
        "description": _prose(rng, 320),
        "input_schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": properties,
            "required": list(properties)[:2],
            "additionalProperties": False,
        },
    }


@cache
def agent_body(*, stream: bool = False, seed: int = 108) -> bytes:
    """Make a 108 kB request shaped like a coding agent's: system blocks, tools, one turn."""
    rng = random.Random(seed)
    last = {"type": "text", "text": _prose(rng, 40), "cache_control": {"type": "ephemeral"}}
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": _prose(rng, 900)}, last]},
            {"role": "system", "content": _prose(rng, 60)},
        ],
        "system": [
            {"type": "text", "text": _prose(rng, 20)},
            {"type": "text", "text": _prose(rng, 12), "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": _prose(rng, 4_500), "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [_tool(rng, number) for number in range(24)],
        "metadata": {"user_id": json.dumps({"device_id": "0" * 64, "session_id": "s-1"})},
        "max_tokens": 32_000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": stream,
    }
    return _padded(body, last, AGENT_BYTES)


@cache
def conversation_body(*, stream: bool = False, seed: int = 600) -> bytes:
    """Make a 1 MB request of 600 messages: text, tool calls and tool results in turn."""
    rng = random.Random(seed)
    messages: list[dict[str, Any]] = []
    for turn in range(CONVERSATION_MESSAGES // 2):
        call = {
            "type": "tool_use",
            "id": f"toolu_{turn:06}",
            "name": "Tool1",
            "input": {"path": "x"},
        }
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{turn - 1:06}",
            "content": [{"type": "text", "text": _prose(rng, 390)}],
        }
        opening = {"type": "text", "text": _prose(rng, 390)}
        messages.append({"role": "user", "content": [result if turn else opening]})
        text = {"type": "text", "text": _prose(rng, 120)}
        messages.append({"role": "assistant", "content": [text, call]})
    last = text
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 1024, "messages": messages}
    if stream:
        body["stream"] = True
    return _padded(body, last, CONVERSATION_BYTES)
