"""What cache breaks cost, why, and what another lifetime of what is written would have cost. For page and API alike."""

from collections.abc import Iterable, Mapping

import msgspec
import sqlalchemy as sa

from proxy.ledger.cache_breaks import REASONS, Kind
from proxy.store.scope import Scope
from proxy.store.views import CacheSums, cache_sums

_SETTINGS = {
    "main": ("FORCE_PROMPT_CACHING_5M=1", "ENABLE_PROMPT_CACHING_1H=1"),
    "subagent": ('"subagentPromptCacheTtl": "5m"', '"subagentPromptCacheTtl": "1h"'),
}
ADVICE = {
    "api:model_changed": "The API says that the model changed: choose it once, at the start of a session.",
    "api:system_changed": "The API says that the system prompt changed: what changes in it belongs into a message.",
    "api:tools_changed": "The API says that the tools changed: connect MCP servers before a session begins.",
    "api:messages_changed": "The API says that earlier messages changed.",
    "api:other": "The API names a reason that this release does not know.",
    "compaction": "Expected: the new prefix is shorter.",
    "moved": "Another upstream served: a failover, or changed weights.",
    "model": "The client switched models; each has a cache of its own.",
    "idle": "Nobody asked for longer than what was written lives; see below what 1 hour would have cost.",
    "cut": "The answer before never finished, so that what it wrote may be lost.",
    "provider": "Nothing differs, within a minute: nobody here can mend it.",
    "prefix": "Something before the last turn changed: a tool, the system prompt, or an earlier message.",
}


class Reason(msgspec.Struct, frozen=True):
    """The breaks of one reason: how many, the tokens that were missed, and what they cost."""

    reason: str
    breaks: int
    tokens: int
    cost_micros: int
    what_to_do: str


class WhatIf(msgspec.Struct, frozen=True):
    """What requests of one class cost, and what they would have with another lifetime.

    Attributes:
        request_class: as clients say it; of those that do not, `main` or `subagent`.
        requests, paid_micros: those of sessions, and what they cost.
        all_5m_micros, all_1h_micros: if all had been written for 5 minutes, or for an hour.
        best: `5m`, `1h`, or `as paid`.
        saved_micros: by the best.
        setting: of Claude Code, which makes it so; '': there is none, or none is needed.
        cold_starts, cold_micros: first requests of an agent: how many, and what their writing cost.
        not_compared: requests of which nothing could be said.
    """

    request_class: str
    requests: int
    paid_micros: int
    all_5m_micros: int
    all_1h_micros: int
    best: str
    saved_micros: int
    setting: str
    cold_starts: int
    cold_micros: int
    not_compared: int


class CacheReport(msgspec.Struct, frozen=True):
    """What of the cache was lost.

    Attributes:
        since_ms: whole UTC days, from that of this time on.
        requests, cost_micros: of sessions, that were looked at.
        breaks, lost_micros: all of them.
        reasons: the dearest first.
        what_if: by class, the dearest first.
    """

    since_ms: int
    requests: int
    cost_micros: int
    breaks: int
    lost_micros: int
    reasons: tuple[Reason, ...]
    what_if: tuple[WhatIf, ...]


def report(engine: sa.Engine, scope: Scope) -> CacheReport:
    """Return what the sums of days in a scope tell: its times, key, model and class count."""
    return report_of(cache_sums(engine, scope, ("request_class", "kind")), scope.since_ms or 0)


def report_of(sums: Iterable[CacheSums], since_ms: int) -> CacheReport:
    """Return what sums by class and kind tell."""
    classes: dict[str, dict[str, CacheSums]] = {}
    for each in sums:
        classes.setdefault(each.request_class, {})[each.kind] = each
    reasons = sorted(
        (_reason(name, classes.values()) for name in REASONS),
        key=lambda reason: (-reason.cost_micros, reason.reason),
    )
    what_if = sorted(
        (_what_if(name, of) for name, of in classes.items()),
        key=lambda each: (-each.paid_micros, each.request_class),
    )
    return CacheReport(
        since_ms,
        sum(each.requests for each in what_if),
        sum(each.paid_micros for each in what_if),
        sum(each.breaks for each in reasons),
        sum(each.cost_micros for each in reasons),
        tuple(each for each in reasons if each.breaks),
        tuple(what_if),
    )


_NONE = CacheSums(0, "", "", "", "", 0, 0, 0)


def _reason(name: str, classes: Iterable[Mapping[str, CacheSums]]) -> Reason:
    found = [of.get(name, _NONE) for of in classes]
    return Reason(
        name,
        sum(each.requests for each in found),
        sum(each.tokens for each in found),
        sum(each.cost_micros for each in found),
        ADVICE[name],
    )


def _what_if(name: str, of: Mapping[str, CacheSums]) -> WhatIf:
    def micros(kind: Kind) -> int:
        return of.get(kind, _NONE).cost_micros

    paid = micros(Kind.PAID)
    all_5m = paid - micros(Kind.WRITES_1H) + micros(Kind.KEPT)
    all_1h = paid + micros(Kind.WRITES_5M) - micros(Kind.IDLE_UNDER_1H)
    best, cost = min(
        (("as paid", paid), ("5m", all_5m), ("1h", all_1h)), key=lambda choice: choice[1]
    )
    minutes, hour = _SETTINGS.get(name, ("", ""))
    cold = of.get(Kind.COLD, _NONE)
    return WhatIf(
        name,
        of.get(Kind.PAID, _NONE).requests,
        paid,
        all_5m,
        all_1h,
        best,
        paid - cost,
        {"5m": minutes, "1h": hour}.get(best, ""),
        cold.requests,
        cold.cost_micros,
        of.get(Kind.NOT_COMPARED, _NONE).requests,
    )
