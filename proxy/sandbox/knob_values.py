"""The values that knobs take, and how they are written in the `x-sandbox` header."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

MANY = 1 << 40
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def switch(text: str) -> bool:
    """Read an on/off knob."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("1 or 0 is expected")


def json_object(text: str) -> str:
    """Read a knob that is a JSON object, and stays text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("a JSON object is expected")  # noqa: TRY004 - of a text, not of its type
    return text


def knob(
    default: object,
    read: Callable[[str], object],
    about: str,
    *,
    low: float | None = None,
    high: float = MANY,
    choices: tuple[str, ...] = (),
) -> Any:
    """Describe a knob: a field of a dataclass."""
    metadata = {"read": read, "about": about, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def pairs(text: str) -> Iterator[tuple[str, str, str]]:
    """Read `name=value,name=value`; yield name, `=` or nothing, and value. A JSON object may hold commas.

    Raises:
        ValueError: what begins like a JSON object is none.
    """
    position = 0
    while position < len(text):
        end = text.find(",", position)
        end = len(text) if end < 0 else end
        name, assigned, value = (part.strip() for part in text[position:end].partition("="))
        if value.startswith("{"):
            start = text.index("{", position)
            try:
                _, behind = json.JSONDecoder().raw_decode(text, start)
            except (ValueError, RecursionError):
                raise ValueError(f"{name}: a JSON object is expected") from None
            end = text.find(",", behind)
            end = len(text) if end < 0 else end
            value = text[start:end].strip()
        if name or assigned:
            yield name, assigned, value
        position = end + 1
