"""The screen of `anyrouter top`: from what the admin API tells to what is drawn."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.admin.page import figures
from proxy.commands.tables import printable

# As many as are asked for.
_MOST_GROUPS = 1_000
SORTS = ("$/h", "in flight", "req/min")
_PER_H = 60
_HINT = "q quit  s sort"
_STYLES = {"up": "green", "cooling": "yellow"}


@dataclasses.dataclass
class Told:
    """What was told last.

    Attributes:
        minutes: that usage is of.
        live, upstreams, usage, whole: the admin API's answers, usage by key and hour, and of all; None: not told yet.
        trouble: why it does not answer; empty: it does.
    """

    minutes: int
    live: Mapping[str, Any] | None = None
    upstreams: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    whole: Mapping[str, Any] | None = None
    trouble: str = ""

    def take(self, live: Any, upstreams: Any, usage: Any, whole: Any) -> None:
        """Take over answers."""
        self.live, self.upstreams, self.usage, self.whole = live, upstreams, usage, whole
        self.trouble = ""

    def failed(self, why: str) -> None:
        """Note that there was no answer: what was told before stays."""
        self.trouble = why


@dataclasses.dataclass(frozen=True)
class _Key:
    name: str
    in_flight: int
    requests: int
    cost_micros: int
    read: int
    prompt: int


def screen(told: Told, sort: str) -> RenderableType:
    """Return what is drawn.

    Args:
        told: what is known.
        sort: the column of keys that the largest comes first of: one of `SORTS`.
    """
    parts: list[RenderableType] = [_heading(told, sort)]
    if told.trouble:
        parts.append(Text(f"no answer, asked again: {printable(told.trouble)}", "red"))
    if told.upstreams is not None:
        parts += [Text(), _upstreams(told.upstreams["data"])]
    if told.usage is not None and told.live is not None:
        parts += [Text(), _keys(_by_key(told), sort, told.minutes)]
        parts += [Text(each, "dim") for each in _left_out(told)]
    return Group(*parts)


def _heading(told: Told, sort: str) -> Text:
    if told.live is None or told.whole is None:
        return Text(f"anyrouter top   waiting for the first answer   {_HINT}")
    sums = told.whole["data"]
    requests, cost, failed = (
        sum(each[name] for each in sums) for name in ("requests", "cost_micros", "failed")
    )
    read = sum(each["cache_read_tokens"] for each in sums)
    prompt = sum(map(_prompt, sums))
    said = (
        str(told.live["at"])[11:19],
        f"{figures.count(told.live['in_flight'])} in flight",
        f"{requests / told.minutes:,.1f} req/min",
        f"{figures.money(cost * _PER_H // told.minutes)}/h",
        f"cache {figures.share(read, prompt)}",
        f"failed {figures.share(failed, requests)}",
        f"by {sort}",
        _HINT,
    )
    return Text("anyrouter top   " + "   ".join(said), "bold")


def _upstreams(of: Sequence[Mapping[str, Any]]) -> Table:
    drawn = _table("upstream", "state", "left", right=("in flight", "requests", "failed", "cached"))
    for each in of:
        left = f"{each['cooling_s']:.0f} s" if each["cooling"] else ""
        drawn.add_row(
            printable(each["upstream"]),
            Text(each["state"], _STYLES.get(each["state"], "")),
            left,
            figures.count(each["in_flight"]),
            figures.count(each["requests"]),
            figures.share(each["failures"], each["requests"]),
            figures.share(each["cache"]["hit_share"], 1),
        )
    return drawn


def _keys(of: Sequence[_Key], sort: str, minutes: int) -> Table:
    drawn = _table("key", right=("in flight", "req/min", "$/h", "cached"))
    orders: dict[str, Callable[[_Key], int]] = {
        "$/h": lambda key: -key.cost_micros,
        "in flight": lambda key: -key.in_flight,
        "req/min": lambda key: -key.requests,
    }
    order = orders[sort]
    for key in sorted(of, key=lambda key: (order(key), key.name)):
        drawn.add_row(
            printable(key.name),
            figures.count(key.in_flight),
            f"{key.requests / minutes:,.1f}",
            figures.money(key.cost_micros * _PER_H // minutes),
            figures.share(key.read, key.prompt),
        )
    return drawn


def _by_key(told: Told) -> list[_Key]:
    live, usage = told.live or {"data": []}, told.usage or {"data": []}
    in_flight = Counter(each["key"] for each in live["data"] if each["key"] is not None)
    # Of a key there is a group of each hour that the minutes touch.
    of: dict[str, list[Mapping[str, Any]]] = {}
    for each in usage["data"]:
        of.setdefault(each["key"], []).append(each)
    keys = [_key(name, groups, in_flight.pop(name, 0)) for name, groups in of.items()]
    return keys + [_Key(name, many, 0, 0, 0, 0) for name, many in in_flight.items()]


def _key(name: str, groups: Sequence[Mapping[str, Any]], in_flight: int) -> _Key:
    return _Key(
        name,
        in_flight,
        sum(each["requests"] for each in groups),
        sum(each["cost_micros"] for each in groups),
        sum(each["cache_read_tokens"] for each in groups),
        sum(map(_prompt, groups)),
    )


def _prompt(sums: Mapping[str, Any]) -> int:
    written: int = sums["cache_write_5m_tokens"] + sums["cache_write_1h_tokens"]
    whole: int = sums["input_tokens"] + written + sums["cache_read_tokens"]
    return whole


def _left_out(told: Told) -> list[str]:
    """Return what the keys do not show of what the heading counts."""
    live, usage = told.live or {}, told.usage or {"data": []}
    said = []
    if live.get("has_more"):
        said.append(f"in flight by key: of the {len(live['data']):,} that have waited longest")
    if len(usage["data"]) >= _MOST_GROUPS:
        said.append("keys: the dearest; the sums above are those of all")
    return said


def _table(*left: str, right: Sequence[str]) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in left:
        drawn.add_column(name, overflow="ellipsis", no_wrap=True)
    for name in right:
        drawn.add_column(name, justify="right", no_wrap=True)
    return drawn
