"""What an upstream's usage says was used, as it is billed. Pure.

Facts (the API's reference):
`input_tokens` counts only what follows the last cache breakpoint, so the three kinds of input never overlap; a count of
0 is a value, and an absent one is not. The split of cache writes into 5 minutes and 1 hour comes once, early; with
server tools the total goes on growing, and what is over the split was written for 5 minutes. With `iterations`, the
top level covers only the attempt that answered: compaction, an advisor and attempts that were declined are told in the
list alone, each perhaps of another model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import astuple, replace

# No answer has as many tokens; a count beyond is no count, and its cost would not fit the ledger's integers.
_MAX_COUNT = 10**12


class Billed(msgspec.Struct, frozen=True, gc=False):
    """What one call of a model used, in tokens, each counted once.

    Attributes:
        model: the one that worked; None: the response's own.
        input: neither written to the cache nor read from it.
        output: of the answer, with its thinking.
        write_5m, write_1h: written to the cache. `read`: read from it.
        web_searches: how many.
    """

    model: str | None = None
    input: int = 0
    output: int = 0
    write_5m: int = 0
    write_1h: int = 0
    read: int = 0
    web_searches: int = 0

    @property
    def counted_input(self) -> int:
        """Return the input that counts against limits of tokens per minute: the cache's reads do not."""
        return self.input + self.write_5m + self.write_1h

    @property
    def prompt(self) -> int:
        """Return the length of the prompt, by which long ones are told."""
        return self.input + self.write_5m + self.write_1h + self.read


class Reading(NamedTuple):
    """What was read of a usage.

    Attributes:
        billed: one entry, or one for each of its iterations; empty when it tells no tokens.
        odd: the names of fields that hold no count, and were taken as 0.
    """

    billed: tuple[Billed, ...]
    odd: tuple[str, ...]


class Sums(msgspec.Struct, frozen=True, gc=False):
    """The tokens of a whole request; None: not reported."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_read_tokens: int | None = None
    web_searches: int | None = None


def tokens_of(usage: Mapping[str, Any] | None) -> tuple[Billed, ...]:
    """Return what a usage bills: one entry, or one for each of its iterations; none when it tells no tokens."""
    return read(usage).billed


def read(usage: Mapping[str, Any] | None) -> Reading:
    """Read a usage in the API's field names, whatever it holds."""
    if not usage:
        return Reading((), ())
    odd: list[str] = []
    if iterations := usage.get("iterations"):
        if entries := _iterations(usage, iterations, odd):
            return Reading(entries, tuple(odd))
        odd.append("iterations")
    if not _tells(usage):
        return Reading((), tuple(odd))
    return Reading((_entry(usage, None, odd),), tuple(odd))


def sums(usage: Mapping[str, Any] | None, billed: Sequence[Billed]) -> Sums:
    """Add entries up, and say which of the sums the usage reports.

    Args:
        usage: that the entries were read from.
        billed: the entries.
    """
    if not usage or not billed:
        return Sums()
    if len(billed) > 1:
        # A field that any entry reports is reported.
        usage = {
            name: value
            for each in (usage, *usage["iterations"])
            for name, value in each.items()
            if value is not None
        }
        every = Billed(None, *map(sum, zip(*(_counts(each) for each in billed), strict=True)))
    else:
        every = billed[0]
    told = usage.get
    split = told("cache_creation") is not None
    return Sums(
        None if told("input_tokens") is None else every.input,
        None if told("output_tokens") is None else every.output,
        every.write_5m if split or told("cache_creation_input_tokens") is not None else None,
        every.write_1h if split else None,
        None if told("cache_read_input_tokens") is None else every.read,
        None if told("server_tool_use") is None else every.web_searches,
    )


def sums_of(billed: Billed) -> Sums:
    """Return the sums of an estimate: what it holds nothing of is not reported."""
    return Sums(*(count or None for count in _counts(billed)))


def _counts(billed: Billed) -> tuple[int, ...]:
    return astuple(billed)[1:]


def _tells(usage: Mapping[str, Any]) -> bool:
    """Return whether a usage tells tokens at all."""
    return usage.get("input_tokens") is not None or usage.get("output_tokens") is not None


def _iterations(
    usage: Mapping[str, Any], iterations: Any, odd: list[str]
) -> tuple[Billed, ...] | None:
    """Read the entries; None when they are none, so that the top level counts.

    Searches and, where the entries lack it, the writes for an hour are told by the top level.
    """
    if not isinstance(iterations, list):
        return None
    if not all(isinstance(entry, dict) and _tells(entry) for entry in iterations):
        return None
    entries = [_entry(entry, entry.get("model"), odd) for entry in iterations]
    top = _entry(usage, None, odd)
    if all(entry.get("cache_creation") is None for entry in iterations):
        left = top.write_1h
        for index, entry in enumerate(entries):
            moved = min(left, entry.write_5m)
            entries[index] = replace(entry, write_5m=entry.write_5m - moved, write_1h=moved)
            left -= moved
    if top.web_searches:
        entries = [replace(entry, web_searches=0) for entry in entries]
        entries[0] = replace(entries[0], web_searches=top.web_searches)
    return tuple(entries)


def _entry(usage: Mapping[str, Any], model: Any, odd: list[str]) -> Billed:
    get = usage.get
    fresh, output, total, cached = (
        get("input_tokens"),
        get("output_tokens"),
        get("cache_creation_input_tokens"),
        get("cache_read_input_tokens"),
    )
    # One that is absent is of nothing. Plain counts, as nearly all are, are not looked at one by one.
    total = 0 if total is None else total
    cached = 0 if cached is None else cached
    if not (
        type(fresh) is type(output) is type(total) is type(cached) is int
        and 0 <= fresh <= _MAX_COUNT
        and 0 <= output <= _MAX_COUNT
        and 0 <= total <= _MAX_COUNT
        and 0 <= cached <= _MAX_COUNT
    ):
        fresh = _count(usage, "input_tokens", odd)
        output = _count(usage, "output_tokens", odd)
        total = _count(usage, "cache_creation_input_tokens", odd)
        cached = _count(usage, "cache_read_input_tokens", odd)
    write_5m, write_1h, searches = total, 0, 0
    split, tools = get("cache_creation"), get("server_tool_use")
    if isinstance(split, dict):
        write_1h = _count(split, "ephemeral_1h_input_tokens", odd)
        write_5m = max(_count(split, "ephemeral_5m_input_tokens", odd), total - write_1h)
    if isinstance(tools, dict):
        searches = _count(tools, "web_search_requests", odd)
    named = model if isinstance(model, str) and model else None
    return Billed(named, fresh, output, write_5m, write_1h, cached, searches)


def _count(usage: Mapping[str, Any], name: str, odd: list[str]) -> int:
    """Return a count; what is none is 0, and noted."""
    value = usage.get(name)
    if type(value) is int and 0 <= value <= _MAX_COUNT:
        return value
    if value is None:
        return 0
    if isinstance(value, float) and 0 <= value <= _MAX_COUNT and value.is_integer():
        return int(value)
    odd.append(name)
    return 0
