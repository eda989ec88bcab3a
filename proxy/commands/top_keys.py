"""What `anyrouter top` shows of keys: in flight, what they cost, what of their budget is spent."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from proxy.admin.page import figures
from proxy.commands.tables import as_text

SORTS = ("$/h", "in flight", "req/min")
_PER_H = 60
_BAR, _FULL, _EMPTY = 5, "#", "-"
_MOST_REQUESTS = 20
_SHOWN_ID_CHARS = 8
_Rows = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Key:
    """A line; `budgets`: as the admin API tells them, by period."""

    name: str
    in_flight: int
    requests: int
    cost_micros: int
    read: int
    prompt: int
    budgets: Mapping[str, Mapping[str, Any]]


def by_key(live: _Rows, usage: _Rows, limits: _Rows, sort: str) -> list[Key]:
    """Return all keys that have requests in flight, or had some, those first that are largest in what is sorted by."""
    in_flight = Counter(each["key"] for each in live if each["key"] is not None)
    # Of a key there is a group of each hour that the minutes touch.
    of: dict[str, list[Mapping[str, Any]]] = {name: [] for name in in_flight}
    for each in usage:
        of.setdefault(each["key"], []).append(each)
    budgets = {str(each["subject"]): each["budgets"] for each in limits}
    keys = [
        _key(name, groups, in_flight[name], budgets.get(f"key {name}", {}))
        for name, groups in of.items()
    ]
    orders: dict[str, Callable[[Key], int]] = {
        "$/h": lambda key: -key.cost_micros,
        "in flight": lambda key: -key.in_flight,
        "req/min": lambda key: -key.requests,
    }
    order = orders[sort]
    return sorted(keys, key=lambda key: (order(key), key.name))


def keys_table(of: Sequence[Key], minutes: int) -> Table:
    """Return the table of keys."""
    drawn = table("key", right=("in flight", "req/min", "$/h", "cached"))
    drawn.add_column("budget", no_wrap=True)
    for key in of:
        drawn.add_row(
            as_text(key.name),
            figures.count(key.in_flight),
            f"{key.requests / minutes:,.1f}",
            figures.money(key.cost_micros * _PER_H // minutes),
            figures.share(key.read, key.prompt),
            _budget(key.budgets),
        )
    return drawn


def requests_table(live: _Rows, key: str) -> Table:
    """Return what each request of a key's in flight waits for, the longest first."""
    drawn = table("request", "session, agent", "doing", "upstream", right=("age",))
    for each in [each for each in live if each["key"] == key][:_MOST_REQUESTS]:
        whose = [each.get("session_id"), each.get("agent_type") or each.get("agent_id")]
        drawn.add_row(
            as_text(each["id"]),
            as_text(", ".join(str(part)[:_SHOWN_ID_CHARS] for part in whose if part)),
            as_text(each["doing"]),
            as_text(each["upstream"] or figures.NONE),
            figures.duration(each["age_ms"]),
        )
    return drawn


def table(*left: str, right: Sequence[str]) -> Table:
    """Return an empty table, of columns to the left and to the right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in left:
        drawn.add_column(name, overflow="ellipsis", no_wrap=True, vertical="bottom")
    for name in right:
        drawn.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    return drawn


def prompt_tokens(sums: Mapping[str, Any]) -> int:
    """Return all tokens of prompts."""
    written: int = sums["cache_write_5m_tokens"] + sums["cache_write_1h_tokens"]
    whole: int = sums["input_tokens"] + written + sums["cache_read_tokens"]
    return whole


def _key(
    name: str,
    groups: _Rows,
    in_flight: int,
    budgets: Mapping[str, Mapping[str, Any]],
) -> Key:
    return Key(
        name,
        in_flight,
        sum(each["requests"] for each in groups),
        sum(each["cost_micros"] for each in groups),
        sum(each["cache_read_tokens"] for each in groups),
        sum(map(prompt_tokens, groups)),
        budgets,
    )


def _budget(budgets: Mapping[str, Mapping[str, Any]]) -> Text:
    """Return how full the fullest is; of one that refuses, until when."""
    shares = {
        period: each["spent_micros"] / each["limit_micros"] if each["limit_micros"] else 1.0
        for period, each in budgets.items()
    }
    if not shares:
        return Text(figures.NONE)
    period = max(shares, key=shares.__getitem__)
    share, fullest = shares[period], budgets[period]
    if share >= 1 and not fullest["shadow"]:
        resets = str(fullest["resets_at"])
        return Text(f"over, {resets[11:16] if period == 'day' else resets[:10]}", "red")
    filled = min(round(share * _BAR), _BAR)
    bar = _FULL * filled + _EMPTY * (_BAR - filled)
    return Text(f"{bar} {figures.share(share, 1)} of the {period}")
