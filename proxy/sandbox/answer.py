"""What the sandbox answers: a pure function of the prompt and the knobs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec

from proxy.sandbox.example import example
from proxy.sandbox.knobs import DEFAULT_EVENTS, Knobs
from proxy.sandbox.prompt import Prompt

STAMP = "t=@@@@ "
"""Stands in a text where the time of sending belongs."""

REFUSAL = "refusal"

_CHARACTERS_PER_TOKEN = 4
_QUOTED_PROMPT = 200
_QUOTED_RESULT = 4000
_FILLER = "and the sandbox goes on talking so that the stream is as long as it was asked to be, "
_FILLER_WORDS = re.findall(r"\S+\s*", _FILLER)
_WORD = re.compile(r"\S+\s*|\s+")
_THOUGHT = "The user wants an answer. This is a sandbox, so it will be a plain one."
_SIGNATURE = "c2FuZGJveC1zaWduYXR1cmUtbm90LXByb2R1Y2VkLWJ5LWEtbW9kZWw="


@dataclass(frozen=True)
class Text:
    """A text block; the pieces are its deltas."""

    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Thinking:
    """A thinking block; the pieces are its deltas."""

    pieces: tuple[str, ...] = (_THOUGHT,)
    signature: str = _SIGNATURE


@dataclass(frozen=True)
class ToolUse:
    """A call of a tool; the pieces are its input as JSON, cut into deltas."""

    name: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A whole answer: the blocks in order, why it ended, what it cost."""

    blocks: tuple[Text | Thinking | ToolUse, ...]
    stop_reason: str
    output_tokens: int
    thinking_tokens: int = 0
    refusal: str | None = None


def answer(prompt: Prompt, knobs: Knobs, *, echoed: str = "") -> Answer:
    """Decide the answer.

    `max_tokens` bounds ordinary text. Text whose size a knob asks for (`events`, `event_bytes`,
    `stamp`, `echo`) is sent in full.

    Args:
        prompt: the checked request.
        knobs: of this request.
        echoed: the request as JSON, when `echo` is on.
    """
    if knobs.refuse is None:
        return _comply(prompt, knobs, echoed)
    if knobs.events is None:
        return Answer((), REFUSAL, 0, refusal=knobs.refuse)
    return replace(_comply(prompt, knobs, echoed), stop_reason=REFUSAL, refusal=knobs.refuse)


def _comply(prompt: Prompt, knobs: Knobs, echoed: str) -> Answer:
    thinking = (Thinking(),) if knobs.think else ()
    thinking_tokens = sum(_tokens(block.pieces) for block in thinking)
    if echoed:
        body = Text(_characters(echoed, knobs.events or DEFAULT_EVENTS))
        return _make_answer((*thinking, body), "end_turn", thinking_tokens)
    sized = knobs.events is not None or knobs.event_bytes is not None
    if knobs.stamp or (sized and prompt.tool is None):
        body = Text(_cut_to_size(_words(prompt), knobs))
        return _make_answer((*thinking, body), "end_turn", thinking_tokens)
    left = prompt.max_tokens - thinking_tokens
    if left <= 0:
        thinking, thinking_tokens, left = (), 0, prompt.max_tokens
    if left == 0:
        return Answer((), "max_tokens", 0)
    if prompt.tool is not None:
        tool, given = prompt.tool
        given = given if given is not None else _object(example(tool.input_schema or {}))
        pieces = _characters(_json(given), knobs.events or DEFAULT_EVENTS)
        return _make_answer((*thinking, ToolUse(tool.name, pieces)), "tool_use", thinking_tokens)
    text = _words(prompt)
    room = left * _CHARACTERS_PER_TOKEN
    body = Text(_group_words(text[:room], DEFAULT_EVENTS))
    stop_reason = "end_turn" if len(text) <= room else "max_tokens"
    return _make_answer((*thinking, body), stop_reason, thinking_tokens)


def _make_answer(
    blocks: tuple[Text | Thinking | ToolUse, ...], stop_reason: str, thinking_tokens: int
) -> Answer:
    tokens = sum(_tokens(block.pieces) for block in blocks)
    return Answer(blocks, stop_reason, tokens, thinking_tokens)


def _tokens(pieces: Sequence[str]) -> int:
    return -(-sum(map(len, pieces)) // _CHARACTERS_PER_TOKEN)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(prompt: Prompt) -> str:
    if prompt.tool_result is not None:
        return f"The tool answered: {prompt.tool_result[:_QUOTED_RESULT]}"
    said = f"You said: {prompt.text[:_QUOTED_PROMPT]}" if prompt.text else "Hello."
    return _json(example(prompt.schema, text=said)) if prompt.schema is not None else said


def _cut_to_size(text: str, knobs: Knobs) -> tuple[str, ...]:
    """Return exactly as many pieces as the knobs ask for, each of the size they ask for."""
    count = knobs.events or DEFAULT_EVENTS
    size = knobs.event_bytes
    if knobs.stamp:
        return ((STAMP + _filler((size or 0) - len(STAMP))),) * count
    if size is not None:
        text = (text + " " + _filler(count * size))[: count * size]
        return tuple(text[at : at + size] for at in range(0, len(text), size))
    missing = count - len(_WORD.findall(text))
    if missing > 0:
        repeated = _FILLER_WORDS * (missing // len(_FILLER_WORDS) + 1)
        text = f"{text} {''.join(repeated[:missing])}"
    return _group_words(text, count)


def _filler(length: int) -> str:
    return (_FILLER * (max(0, length) // len(_FILLER) + 1))[: max(0, length)]


def _group_words(text: str, count: int) -> tuple[str, ...]:
    """Cut a text between words into at most `count` pieces of about as many words each."""
    words = _WORD.findall(text)
    count = min(count, len(words))
    cuts = [len(words) * place // count for place in range(count + 1)] if count else []
    return tuple("".join(words[a:b]) for a, b in pairwise(cuts))


def _characters(text: str, count: int) -> tuple[str, ...]:
    """Cut a text into `count` pieces, or one for each character if there are fewer."""
    count = min(count, len(text))
    cuts = [len(text) * place // count for place in range(count + 1)]
    return tuple(text[a:b] for a, b in pairwise(cuts))
