"""One spelling of a model id, by which ids are compared. Pure.

Clients spell one model in many ways: Claude Code sends bare `claude-…` ids and a trailing `[1m]` or `[1M]`, catalogs
write `4.6`, the API itself `4-6`.
"""

import re
from collections.abc import Iterable

VENDOR = "anthropic/"
_DOT_BETWEEN_DIGITS = re.compile(r"(?<=\d)\.(?=\d|$)")


def complete(model_id: str) -> str:
    """Return an id with its vendor and without `[1m]`, its dots as the client wrote them."""
    if model_id[-4:].lower() == "[1m]":
        model_id = model_id[:-4]
    return VENDOR + model_id if model_id.startswith("claude-") else model_id


def canonical(model_id: str) -> str:
    """Return an id as ids are compared: with its vendor, dashes for dots between digits, no `[1m]`."""
    return _DOT_BETWEEN_DIGITS.sub("-", complete(model_id))


def canonical_pattern(pattern: str) -> str:
    """Return an id or wildcard as they are compared."""
    return canonical(pattern[:-1]) + "*" if pattern.endswith("*") else canonical(pattern)


def native(model_id: str) -> str:
    """Return an id as the API spells it: without vendor, dots as dashes."""
    return _DOT_BETWEEN_DIGITS.sub("-", model_id.removeprefix(VENDOR))


class OwnIds:
    """What one upstream calls models. Exact ids win over wildcards, longer wildcards over shorter.

    Args:
        model_ids: own ids by native ones; none: it calls every model by its native id.
    """

    def __init__(self, model_ids: Iterable[tuple[str, str]] = ()) -> None:
        pairs = tuple(model_ids)
        self._exact = {ours: own for ours, own in pairs if not ours.endswith("*")}
        self._wildcards = sorted(
            ((ours[:-1], own) for ours, own in pairs if ours.endswith("*")),
            key=lambda pair: -len(pair[0]),
        )

    def own(self, model: str) -> str | None:
        """Return the own id of a model, by its native one; None: it is not served there."""
        if not (self._exact or self._wildcards):
            return model
        if (exact := self._exact.get(model)) is not None:
            return exact
        for prefix, own in self._wildcards:
            if model.startswith(prefix):
                return own.replace("*", model[len(prefix) :])
        return None

    def native(self, own_id: str) -> str | None:
        """Return the native id of what the upstream lists; None: it is none of what is served there."""
        if not (self._exact or self._wildcards):
            return own_id
        for model, own in self._exact.items():
            if own == own_id:
                return model
        for prefix, own in self._wildcards:
            before, star, after = own.partition("*")
            fits = len(own_id) >= len(before) + len(after) and own_id.startswith(before)
            if star and fits and own_id.endswith(after):
                model = prefix + own_id[len(before) : len(own_id) - len(after)]
                # What is served under another id is not listed under this one.
                return model if self.own(model) == own_id else None
        return None
