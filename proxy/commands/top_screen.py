"""The screen of `anyrouter top`: from what the admin API tells to what is drawn."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.admin.page import figures
from proxy.commands.standard_files import printable
from proxy.commands.tables import as_text
from proxy.commands.top_keys import Key, by_key, keys_table, prompt_tokens, requests_table, table

# As many as are asked for.
_MOST_GROUPS = 1_000
_PER_H = 60
_WIDE = 112
_HINT = "q quit  s sort  k key"
_STYLES = {"up": "green", "cooling": "yellow", "failing": "red"}
_TOKENS = ("tokens", "input_tokens")

# Of the admin API; None: there was none.
Answer = Mapping[str, Any] | None


@dataclasses.dataclass
class Told:
    """What was told last.

    Attributes:
        minutes: that usage is of.
        live, upstreams, usage, whole, limits: the admin API's answers, usage by key and hour, and of all; None: not
            told yet.
        trouble: why some of it is not answered; empty: all is.
    """

    minutes: int
    live: Answer = None
    upstreams: Answer = None
    usage: Answer = None
    whole: Answer = None
    limits: Answer = None
    trouble: str = ""

    def take(self, answers: Sequence[Answer], trouble: str = "") -> None:
        """Take over answers, one to each question; where there is none, what was told before stays."""
        live, upstreams, usage, whole, limits = answers
        self.live, self.upstreams = live or self.live, upstreams or self.upstreams
        self.usage, self.whole = usage or self.usage, whole or self.whole
        self.limits, self.trouble = limits or self.limits, trouble

    def keys(self, sort: str) -> list[Key]:
        """Return the keys, those first that are largest in what is sorted by."""
        return by_key(_data(self.live), _data(self.usage), _data(self.limits), sort)


def screen(told: Told, sort: str, key: str | None = None, width: int = _WIDE) -> RenderableType:
    """Return what is drawn.

    Args:
        told: what is known.
        sort: the column of keys that the largest comes first of: one of `SORTS`.
        key: that is shown alone, with its requests in flight; None: all.
        width: of the terminal; a narrow one has fewer columns.
    """
    how = f"sorted by {sort}" if key is None else f"key {printable(key)}"
    parts: list[RenderableType] = [_heading(told), Text(f"{how}   {_HINT}", "dim")]
    if told.trouble:
        parts.append(Text(f"no answer, asked again: {printable(told.trouble)}", "red"))
    if told.upstreams is not None:
        parts += [Text(), _upstreams(told.upstreams, is_wide=width >= _WIDE)]
        parts += [Text(_times_of(told.upstreams), "dim")]
    if told.live is not None:
        keys = [each for each in told.keys(sort) if key in (None, each.name)]
        parts += [Text(), keys_table(keys, told.minutes)]
        if key is not None:
            parts += [Text(), requests_table(told.live["data"], key)]
        parts += [Text(each, "dim") for each in _left_out(told)]
    return Group(*parts)


def _heading(told: Told) -> Text:
    if told.live is None:
        return Text("anyrouter top   waiting for the first answer")
    said = [
        str(told.live["at"])[11:19],
        _workers(told.live),
        f"{figures.count(told.live['in_flight'])} in flight",
        *(_sums(told.whole["data"], told.minutes) if told.whole is not None else ()),
    ]
    return Text("anyrouter top   " + "   ".join(said), "bold")


def _sums(of: Sequence[Mapping[str, Any]], minutes: int) -> tuple[str, ...]:
    requests, cost, failed = (
        sum(each[name] for each in of) for name in ("requests", "cost_micros", "failed")
    )
    read = sum(each["cache_read_tokens"] for each in of)
    return (
        f"{requests / minutes:,.1f} req/min",
        f"{figures.money(cost * _PER_H // minutes)}/h",
        f"cache {figures.share(read, sum(map(prompt_tokens, of)))}",
        f"failed {figures.share(failed, requests)}",
    )


def _workers(live: Mapping[str, Any]) -> str:
    silent = live["workers_silent"]
    all_ = figures.counted(live["workers"], "worker")
    return f"{live['workers'] - silent} of {all_}" if silent else all_


def _upstreams(told: Mapping[str, Any], *, is_wide: bool) -> Table:
    times = [("first_byte_ms", "first"), ("total_ms", "total")][: 2 if is_wide else 1]
    drawn = table(
        *("upstream", "state"),
        right=(
            "in\nflight",
            *(f"{word}\n{percent}" for _, word in times for percent in ("p50", "p95")),
            *(("requests",) if is_wide else ()),
            *("failed", "cached", "tokens\nleft"),
        ),
    )
    of = told["data"]
    for each in of:
        drawn.add_row(
            as_text(each["upstream"]),
            Text(_state(each), _STYLES.get(each["state"], "")),
            figures.count(each["in_flight"]),
            *_percentiles(each.get("times"), times),
            *((figures.count(each["requests"]),) if is_wide else ()),
            figures.share(each["failures"], each["requests"]),
            figures.share(each["cache"]["hit_share"], 1),
            _tokens_left(each["account"]),
        )
    if len(of) > 1:
        in_flight = figures.count(sum(each["in_flight"] for each in of))
        drawn.add_row("all", "", in_flight, *_percentiles(told.get("times"), times))
    return drawn


def _percentiles(told: Answer, times: Sequence[tuple[str, str]]) -> list[str]:
    """Return how long requests take; a gateway of an older release does not tell."""
    percents = [(name, percent) for name, _ in times for percent in ("p50", "p95")]
    return [figures.duration(told[name][each] if told else None) for name, each in percents]


def _times_of(told: Mapping[str, Any]) -> str:
    since = told.get("times", {}).get("since")
    return (
        f"first byte and total: since {since[11:16] if since else 'the workers began'}; "
        "requests, failed, cached: since the workers began"
    )


def _state(upstream: Mapping[str, Any]) -> str:
    state: str = upstream["state"]
    left = f" {upstream['cooling_s'] or 0:.0f} s" if upstream["cooling"] else ""
    reason = printable(upstream["reason"] or "")
    return f"{state}{left} {reason}".rstrip()


def _tokens_left(account: Answer) -> str:
    """Return what of its tokens a minute an account had left when it last said so."""
    kind = next((kind for kind in _TOKENS if account and kind in account), None)
    if account is None or kind is None:
        return figures.NONE
    return figures.share(account[kind]["remaining"], account[kind]["limit"])


def _left_out(told: Told) -> list[str]:
    """Return what the keys do not show of what the heading counts."""
    live, usage = told.live or {}, _data(told.usage)
    said = []
    if live.get("has_more"):
        said.append(f"in flight by key: of the {len(live['data']):,} that have waited longest")
    if len(usage) >= _MOST_GROUPS:
        said.append("keys: the dearest; the sums above are those of all")
    return said


def _data(answer: Answer) -> Sequence[Mapping[str, Any]]:
    data: Sequence[Mapping[str, Any]] = () if answer is None else answer["data"]
    return data
