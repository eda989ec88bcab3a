"""What an answer used and cost, reckoned by fractions of what the sandbox served, with nothing of the gateway's."""

from fractions import Fraction
from typing import Any, NamedTuple

from proxy.sandbox import Served
from tests.unit.money.test_prices import PUBLISHED

_CHARACTERS_PER_TOKEN = 4
_SEARCH_NANOS = 10**7
_US = Fraction(11, 10)


class Tokens(NamedTuple):
    """The tokens of a row; None: not reported."""

    input: int | None = None
    output: int | None = None
    write_5m: int | None = None
    write_1h: int | None = None
    read: int | None = None
    searches: int | None = None


def tokens_of(usage: dict[str, Any]) -> Tokens:
    """Return what a usage tells: with iterations, their sum."""
    each = [_counted(entry) for entry in _entries(usage)]
    sums = Tokens(*(sum(column) for column in zip(*each, strict=True)))
    return sums if "server_tool_use" in usage else sums._replace(searches=None)


def cost_of(usage: dict[str, Any], model: str) -> int:
    """Return what a usage costs in micro-dollars."""
    geo = _US if usage.get("inference_geo") == "us" else Fraction(1)
    return micros_of(
        [(entry.get("model") or model, _counted(entry)) for entry in _entries(usage)], geo
    )


def micros_of(used: list[tuple[str, tuple[int, ...]]], factor: Fraction = Fraction(1)) -> int:
    """Return what tokens cost, each at its model's published rates, rounded once."""
    nanos = Fraction()
    for model, (*tokens, searches) in used:
        rates = PUBLISHED.get(model, PUBLISHED["unknown"]).split()
        dollars = sum(
            (count * Fraction(rate) for count, rate in zip(tokens, rates, strict=True)), Fraction()
        )
        nanos += dollars * 1000 * factor + searches * _SEARCH_NANOS
    return int((nanos / 1000 + Fraction(1, 2)) // 1)


def output_of(served: Served, size: int | None = None) -> int:
    """Return the output that went by: with so many bytes of the body; None: with all that were sent."""
    if not served.stream:
        return int(served.usage["output_tokens"]) if served.is_complete else 0
    size = served.delivered if size is None else size
    characters = sum(length for end, length in served.ends if end <= size)
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _entries(usage: dict[str, Any]) -> list[dict[str, Any]]:
    return usage.get("iterations") or [usage]


def _counted(entry: dict[str, Any]) -> tuple[int, ...]:
    split = entry.get("cache_creation") or {}
    hour = split.get("ephemeral_1h_input_tokens", 0)
    written = entry.get("cache_creation_input_tokens", 0)
    return (
        entry["input_tokens"],
        entry["output_tokens"],
        max(split.get("ephemeral_5m_input_tokens", 0), written - hour),
        hour,
        entry.get("cache_read_input_tokens", 0),
        (entry.get("server_tool_use") or {}).get("web_search_requests", 0),
    )
