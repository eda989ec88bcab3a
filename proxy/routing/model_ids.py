"""One spelling of a model id, by which ids are compared. Pure.

Clients spell one model in many ways: Claude Code sends bare `claude-…` ids and a trailing `[1m]` or `[1M]`, catalogs
write `4.6`, the API itself `4-6`.
"""

import re

VENDOR = "anthropic/"
_DOT_BETWEEN_DIGITS = re.compile(r"(?<=\d)\.(?=\d|$)")


def complete(model_id: str) -> str:
    """Spell an id with its vendor and without `[1m]`, its dots as the client wrote them."""
    if model_id[-4:].lower() == "[1m]":
        model_id = model_id[:-4]
    return VENDOR + model_id if model_id.startswith("claude-") else model_id


def canonical(model_id: str) -> str:
    """Spell an id the one way ids are compared: with its vendor, dashes for dots between digits, no `[1m]`."""
    return _DOT_BETWEEN_DIGITS.sub("-", complete(model_id))


def canonical_pattern(pattern: str) -> str:
    """Spell an id or wildcard the one way they are compared."""
    return canonical(pattern[:-1]) + "*" if pattern.endswith("*") else canonical(pattern)


def native(model_id: str) -> str:
    """Spell an id as the API does: without vendor, dots as dashes."""
    return _DOT_BETWEEN_DIGITS.sub("-", model_id.removeprefix(VENDOR))
