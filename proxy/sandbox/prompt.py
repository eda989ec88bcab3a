"""Reading a Messages request: what it costs, what it asks for.

Members that the answer does not depend on stay undecoded: real prompts are 100 kB and more.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.sandbox import catalog
from proxy.sandbox.errors import ApiError, invalid
from proxy.sandbox.turns import Turn, last_user_turn, turns_of

_CHARACTERS_PER_TOKEN = 4
_NOTHING = msgspec.Raw()
_ASKED = re.compile(r"\buse the tool [`'\"]?([\w-]+)", re.IGNORECASE)
_WITH = re.compile(r"\W*with\s*(?={)", re.IGNORECASE)
_LONG_CACHE = re.compile(rb'"ttl"\s*:\s*"1h"')


class _Body(msgspec.Struct):
    model: Any = None
    messages: msgspec.Raw = _NOTHING
    max_tokens: Any = None
    stream: Any = None
    system: msgspec.Raw = _NOTHING
    tools: msgspec.Raw = _NOTHING
    tool_choice: Any = None
    output_config: Any = None
    output_format: Any = None


class Tool(msgspec.Struct, frozen=True):
    """A tool definition, as far as an answer needs it; server tools have no schema."""

    name: str = ""
    input_schema: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class InputUsage:
    """Prompt tokens, about a quarter of the characters; the parts add up to `total`.

    A prompt that marks a cache breakpoint has its `system` and `tools` cached: written in a
    conversation's first turn, read in the later ones.
    """

    fresh: int
    cache_5m: int = 0
    cache_1h: int = 0
    cache_read: int = 0

    @property
    def total(self) -> int:
        """Return all prompt tokens, as count_tokens does."""
        return self.fresh + self.cache_5m + self.cache_1h + self.cache_read


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A checked request.

    Attributes:
        text: the user's last text, without system reminders.
        tool: the tool to call, with the input the prompt gave (`None`: it gave none).
        tool_result: the text of the tool results in the last user turn, if it has any.
        schema: the JSON schema that the answer's text must satisfy, if one was sent.
    """

    model: str
    max_tokens: int
    stream: bool
    usage: InputUsage
    text: str = ""
    tool: tuple[Tool, dict[str, Any] | None] | None = None
    tool_result: str | None = None
    schema: dict[str, Any] | None = None


def read(body: bytes, *, counting: bool = False) -> Prompt:
    """Check a request's body and find what it asks for.

    Args:
        body: the body, decoded.
        counting: the request is for count_tokens and needs no `max_tokens`.

    Raises:
        ApiError: 400 or 404, as the API would.
    """
    sent = _members(body)
    if sent.model is None:
        raise invalid("model: Field required")
    if not isinstance(sent.model, str):
        raise invalid("model: Input should be a valid string")
    turns = turns_of(sent.messages)
    if sent.max_tokens is None and not counting:
        raise invalid("max_tokens: Field required")
    if not counting and (type(sent.max_tokens) is not int or sent.max_tokens < 0):
        raise invalid("max_tokens: Input should be an integer greater than or equal to 0")
    if sent.stream not in (None, True, False):
        raise invalid("stream: Input should be a valid boolean")
    if not catalog.known(sent.model):
        raise ApiError("not_found_error", f"model: {sent.model}")
    texts, results = last_user_turn(turns)
    return Prompt(
        model=sent.model,
        max_tokens=0 if counting else sent.max_tokens,
        stream=bool(sent.stream),
        usage=_usage(body, sent, turns),
        text=texts[-1] if texts else "",
        tool=None if results else _wanted_tool(sent, texts),
        tool_result="\n".join(results) if results else None,
        schema=_schema(sent),
    )


def _members(body: bytes) -> _Body:
    try:
        body.decode()  # undecoded members are not checked by the decoder
        return msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError as exc:
        raise invalid("Input should be a JSON object") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise invalid(f"The request body is not valid JSON: {exc}") from exc


def _size(raw: msgspec.Raw) -> int:
    return len(memoryview(raw))


def _usage(body: bytes, sent: _Body, turns: list[Turn]) -> InputUsage:
    prefix = (_size(sent.system) + _size(sent.tools)) // _CHARACTERS_PER_TOKEN
    rest = max(1, _size(sent.messages) // _CHARACTERS_PER_TOKEN)
    if not prefix or b'"cache_control"' not in body:
        return InputUsage(fresh=prefix + rest)
    if any(turn.role == "assistant" for turn in turns):
        return InputUsage(fresh=rest, cache_read=prefix)
    if _LONG_CACHE.search(body):
        return InputUsage(fresh=rest, cache_1h=prefix)
    return InputUsage(fresh=rest, cache_5m=prefix)


def _wanted_tool(sent: _Body, texts: list[str]) -> tuple[Tool, dict[str, Any] | None] | None:
    if not _size(sent.tools):
        return None
    asked = next((match for text in reversed(texts) for match in _ASKED.finditer(text)), None)
    choice = sent.tool_choice if isinstance(sent.tool_choice, dict) else {}
    forced = choice.get("type") in ("tool", "any")
    if (asked is None and not forced) or choice.get("type") == "none":
        return None
    try:
        tools = msgspec.json.decode(sent.tools, type=list[Tool] | None) or []
    except msgspec.DecodeError as exc:
        raise invalid(f"tools: {exc}") from exc
    by_name = {tool.name.casefold(): tool for tool in tools}
    if asked is not None and (tool := by_name.get(asked[1].casefold())):
        return tool, _given_input(asked.string[asked.end() :])
    if forced and (tool := by_name.get(str(choice.get("name", "")).casefold())):
        return tool, None
    if choice.get("type") == "any" and tools:
        return tools[0], None
    return None


def _given_input(text: str) -> dict[str, Any] | None:
    introduction = _WITH.match(text)
    if introduction is None:
        return None
    try:
        given, _ = json.JSONDecoder().raw_decode(text, introduction.end())
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _schema(sent: _Body) -> dict[str, Any] | None:
    for wanted in (sent.output_config, {"format": sent.output_format}):
        match wanted:
            case {"format": {"type": "json_schema", "schema": dict(schema)}}:
                return schema
    return None
