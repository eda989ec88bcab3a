"""The turns of a conversation, decoded only as far as an answer needs them."""

import re
from typing import Any

import msgspec

from proxy.sandbox.errors import invalid

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


class Turn(msgspec.Struct):
    """One message; its content is decoded when it is needed."""

    role: str
    content: msgspec.Raw


def turns_of(raw: msgspec.Raw) -> list[Turn]:
    """Check and return the messages of a request; an absent member is empty bytes.

    Raises:
        ApiError: 400, it is not a list of messages, is empty, or has an unknown role in it.
    """
    if not memoryview(raw):
        raise invalid("messages: Field required")
    try:
        turns = msgspec.json.decode(raw, type=list[Turn])
    except msgspec.DecodeError as exc:
        raise invalid(f"messages: {exc}") from exc
    if not turns:
        raise invalid("messages: at least one message is required")
    for place, turn in enumerate(turns):
        if turn.role not in ("user", "assistant", "system"):
            raise invalid(f"messages.{place}.role: Input should be 'user', 'assistant' or 'system'")
    return turns


def last_user_turn(turns: list[Turn]) -> tuple[list[str], list[str]]:
    """Return the texts and the tool results of the user messages after the last answer."""
    texts: list[str] = []
    results: list[str] = []
    found = False
    for turn in reversed(turns):
        if turn.role == "user":
            found = True
            block_texts, block_results = _blocks(_decode_content(turn.content))
            texts[:0] = block_texts
            results[:0] = block_results
        elif turn.role == "assistant" and found:
            break
    return texts, results


def _decode_content(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise invalid(f"messages: {exc}") from exc


def _blocks(content: Any) -> tuple[list[str], list[str]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid("messages: content: Input should be a string or a list of blocks")
    texts: list[str] = []
    results: list[str] = []
    for block in content:
        match block:
            case {"type": "text", "text": str(text)}:
                said = _REMINDER.sub("", text).strip()
                texts += [said] if said else []
            case {"type": "tool_result"}:
                results.append(_result_text(block.get("content")))
    return texts, results


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(
        block["text"]
        for block in blocks
        if isinstance(block, dict) and isinstance(block.get("text"), str)
    )
