"""Cache: what do we lose, why, and what would help?"""

import msgspec

from proxy.admin import cache_report
from proxy.admin.cache_report import CacheReport
from proxy.admin.page import asked
from proxy.admin.page.crowded import SEE, in_common
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.admin.shown import shown_group
from proxy.store import cache_breaks, sessions, usage
from proxy.store.scope import Scope
from proxy.store.sessions import Session

_FILTERS = ("key", "model")
_WORST = 10
_MOST_SHARES = 500
_DAY_MS = 86_400_000


class Share(msgspec.Struct, frozen=True):
    """How much of what was sent to an upstream on a day was read from the cache."""

    day: str
    upstream: str
    prompt_tokens: int
    cache_read_tokens: int


class Cache(CacheReport, frozen=True, kw_only=True):
    """The model of the page.

    Attributes:
        shares: by day and upstream.
        in_common: of reasons, what their breaks of the last 24 hours have in common. `see`: where there is more of one.
        worst: the sessions of the last 24 hours that lost most; none where sessions are not shown.
        looked_until_ms: no later request was looked at for breaks, though minutes have passed; None: all were.
    """

    shares: tuple[Share, ...]
    worst: tuple[Session, ...]
    in_common: dict[str, str]
    see: dict[str, str]
    looked_until_ms: int | None


async def model(view: View, viewer: Viewer, query: Query) -> Cache:
    """Return the model of the page.

    Raises:
        InvalidRequest: the query asks for what there is not.
    """
    now_ms = view.now_ms()
    since_ms = asked.since_ms(query, now_ms, "7d") // _DAY_MS * _DAY_MS
    scope = viewer.scope(since_ms=since_ms, **asked.filters(query, *_FILTERS))
    report = await view.ask(lambda engine: cache_report.report(engine, scope))
    by = ("day", "upstream")
    groups = await view.ask(
        lambda engine: usage.usage(engine, by, scope, limit=_MOST_SHARES, within_s=4.0)
    )
    today = msgspec.structs.replace(scope, since_ms=max(since_ms, now_ms - _DAY_MS))
    worst = await _worst(view, today) if view.shows_sessions else ()
    crowds = await view.ask(lambda engine: cache_breaks.crowds(engine, today))
    behind_ms = await view.ask(lambda engine: cache_breaks.behind_at(engine, now_ms))
    shares = []
    for group in groups:
        told = shown_group(by, group)
        written = group.cache_write_5m_tokens + group.cache_write_1h_tokens
        prompt = group.input_tokens + written + group.cache_read_tokens
        if prompt:
            shares.append(
                Share(told["day"], told["upstream"] or "", prompt, group.cache_read_tokens)
            )
    see = {each.reason: SEE[each.reason] for each in report.reasons if each.reason in SEE}
    return Cache(
        *msgspec.structs.astuple(report),
        shares=tuple(shares),
        worst=worst,
        in_common=in_common(crowds),
        see=_shown_to(viewer, see),
        looked_until_ms=behind_ms,
    )


def _shown_to(viewer: Viewer, see: dict[str, str]) -> dict[str, str]:
    """Return the links that whoever looks may follow."""
    return see if viewer.key is None else {k: v for k, v in see.items() if v != "upstreams"}


async def _worst(view: View, scope: Scope) -> tuple[Session, ...]:
    found = await view.ask(
        lambda engine: sessions.sessions(engine, scope, order="breaks", limit=_WORST)
    )
    return tuple(each for each in found if each.breaks)


PAGE = Page(
    path="/cache",
    title="Cache",
    make=model,
    template="cache.html",
    query=("since", *_FILTERS),
    rows="reasons",
)
