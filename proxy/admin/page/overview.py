"""Overview: are we fine, and what does it cost right now?"""

import functools
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from proxy.admin import upstreams
from proxy.admin.page import needs
from proxy.admin.page.bounds import Bounds, Budget, all_bounds
from proxy.admin.page.needs import Need
from proxy.admin.page.page import Elsewhere, Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.admin.workers import Answer
from proxy.ledger.cache_breaks import REASONS
from proxy.store import cache_breaks, sessions, usage, views
from proxy.store.scope import Scope
from proxy.store.sessions import Session
from proxy.store.usage import Group

_HTTP_OK = 200
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_NOW_MS = _HOUR_MS // 4
_DAYS, _USUAL_DAYS, _HOURS = 30, 7, 24
_MOST_KEYS, _MOST_SESSIONS, _MOST_GROUPS = 12, 8, 5_000


class KeyToday(msgspec.Struct, frozen=True):
    """What a key has done today; `hours`: what it spent in each of the last 24, in micro-dollars, the last one last."""

    key: str
    requests: int
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    cost_micros: int
    hours: tuple[int, ...]
    budget: Budget | None


class DayOfModel(msgspec.Struct, frozen=True):
    """What a model cost on a day; `day` is counted since 1970."""

    day: int
    model: str
    cost_micros: int


class Overview(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        needs: what needs somebody.
        has_ledger: whether anything was ever recorded. `base_url`: where the gateway is, for the first request.
        today: sums of today; None: there are none yet.
        usual_micros: of a day, by the last 7 whole ones.
        recent: sums of the last 15 minutes; None: there are none.
        hourly_micros: of an hour, by those; None: nothing is known of before, so that it is too soon to tell.
        breaks_micros: what cache breaks cost today. `breaks`: how many.
        looked_until_ms: no later request was looked at for them, though minutes have passed; None: all were.
        days: of the last 30 days, what each model cost; without those that cost nothing.
        keys: of today, the dearest first. `sessions`: that run.
    """

    needs: tuple[Need, ...]
    has_ledger: bool
    base_url: str
    today: Group | None
    usual_micros: int | None
    recent: Group | None
    hourly_micros: int | None
    breaks_micros: int
    breaks: int
    looked_until_ms: int | None
    days: tuple[DayOfModel, ...]
    keys: tuple[KeyToday, ...]
    sessions: tuple[Session, ...]


class Stored(msgspec.Struct, frozen=True):
    """What the store tells."""

    days: list[Group]
    today: list[Group]
    recent: list[Group]
    hours: list[Group]
    breaks: tuple[int, int]
    looked_until_ms: int | None
    sessions: list[Session]
    first_id: str | None


async def model(view: View, viewer: Viewer, query: Query) -> Overview | Elsewhere:
    """Return the model of the page; once the first request has come that was waited for, that one's page."""
    now_ms = view.now_ms()
    scope = viewer.scope()
    with_sessions = view.shows_sessions
    stored = await view.ask(
        lambda engine: _stored(engine, scope, now_ms, with_sessions=with_sessions)
    )
    if "waiting" in query and stored.first_id is not None:
        return Elsewhere(f"requests/{stored.first_id}")
    bounds = await all_bounds(view)
    recent = _added(stored.recent)
    return Overview(
        needs=tuple(await _needs(view, bounds, recent, now_ms)),
        has_ledger=stored.first_id is not None,
        base_url=view.base_url,
        today=_today(stored, now_ms),
        usual_micros=_usual(stored.days, now_ms),
        recent=recent,
        hourly_micros=_hourly(stored.days, recent),
        breaks=stored.breaks[0],
        breaks_micros=stored.breaks[1],
        looked_until_ms=stored.looked_until_ms,
        days=tuple(
            DayOfModel(int(each.of[0]), str(each.of[1]), each.cost_micros)
            for each in stored.days
            if each.cost_micros
        ),
        keys=_keys(stored, bounds, now_ms),
        sessions=tuple(stored.sessions),
    )


def _stored(engine: sa.Engine, scope: Scope, now_ms: int, *, with_sessions: bool) -> Stored:
    today_ms = now_ms // _DAY_MS * _DAY_MS
    since = functools.partial(msgspec.structs.replace, scope)
    days = usage.usage(
        engine,
        ["day", "model"],
        since(since_ms=today_ms - (_DAYS - 1) * _DAY_MS),
        limit=_MOST_GROUPS,
    )
    last = usage.requests(engine, scope, limit=1)
    lost = views.cache_sums(engine, since(since_ms=today_ms))
    breaks = [each for each in lost if each.kind in REASONS]
    today = usage.usage(
        engine, ["key"], since(since_ms=today_ms), limit=_MOST_GROUPS, dearest_first=True
    )
    return Stored(
        days=days,
        today=today,
        recent=usage.usage(engine, ["cause"], since(since_ms=now_ms - _NOW_MS), limit=_MOST_GROUPS),
        hours=usage.usage(
            engine,
            ["key", "hour"],
            since(since_ms=_first_hour(now_ms) * _HOUR_MS),
            limit=_MOST_KEYS * (_HOURS + 1),
            keys=[str(each.of[0]) for each in today[:_MOST_KEYS]],
        ),
        breaks=(sum(each.requests for each in breaks), sum(each.cost_micros for each in breaks)),
        looked_until_ms=cache_breaks.behind_at(engine, now_ms),
        sessions=sessions.sessions(
            engine, since(since_ms=now_ms - _NOW_MS), order="cost", limit=_MOST_SESSIONS
        )
        if with_sessions
        else [],
        first_id=last[0].id if last else None,
    )


def _first_hour(now_ms: int) -> int:
    return now_ms // _HOUR_MS - _HOURS + 1


def _added(groups: Sequence[Group]) -> Group | None:
    """Return sums of groups, of nothing in particular."""
    if not groups:
        return None
    rows = [msgspec.structs.astuple(each)[1:] for each in groups]
    return Group((), *map(sum, zip(*rows, strict=True)))


def _today(stored: Stored, now_ms: int) -> Group | None:
    """Return sums of today: those of the chart, so that both are of one moment, unless it has not all groups."""
    if len(stored.days) == _MOST_GROUPS:
        return _added(stored.today)
    return _added([each for each in stored.days if each.of[0] == now_ms // _DAY_MS])


def _usual(days: Sequence[Group], now_ms: int) -> int | None:
    today = now_ms // _DAY_MS
    before = [each for each in days if today - _USUAL_DAYS <= int(each.of[0]) < today]
    count = len({each.of[0] for each in before})
    return sum(each.cost_micros for each in before) // count if count else None


def _hourly(days: Sequence[Group], recent: Group | None) -> int | None:
    if recent is None:
        return 0
    is_all = sum(each.requests for each in days) <= recent.requests
    return None if is_all else recent.cost_micros * _HOUR_MS // _NOW_MS


def _keys(stored: Stored, bounds: Bounds, now_ms: int) -> tuple[KeyToday, ...]:
    budgets = {each.subject: each for each in reversed(bounds.budgets)}
    first = _first_hour(now_ms)
    hours: dict[str, list[int]] = {}
    for each in stored.hours:
        key, hour = str(each.of[0]), int(each.of[1]) - first
        if 0 <= hour < _HOURS:
            hours.setdefault(key, [0] * _HOURS)[hour] = each.cost_micros
    return tuple(
        KeyToday(
            key=(key := str(each.of[0])),
            requests=each.requests,
            input_tokens=each.input_tokens,
            cache_write_tokens=each.cache_write_5m_tokens + each.cache_write_1h_tokens,
            cache_read_tokens=each.cache_read_tokens,
            cost_micros=each.cost_micros,
            hours=tuple(hours.get(key, ())),
            budget=budgets.get(f"key {key}"),
        )
        for each in stored.today[:_MOST_KEYS]
    )


async def _needs(view: View, bounds: Bounds, recent: Group | None, now_ms: int) -> list[Need]:
    ledgers = await view.workers.ledgers()
    told = [each[1] for each in ledgers if each is not None and _is_told(each)]
    answers = [each for each in await view.workers.upstreams() if _is_told(each)]
    merged = upstreams.merged(upstreams.told(answers), now_ms) if answers else []
    return [
        *needs.of_ledger(told, ledgers.count(None), now_ms),
        *needs.of_upstreams(merged),
        *needs.of_budgets(bounds.budgets, now_ms),
        *needs.of_receivers(view.receivers_silent),
        *(needs.of_failures(recent.failed, recent.requests) if recent else ()),
    ]


def _is_told(answer: Answer | None) -> bool:
    return answer is not None and answer[0] == _HTTP_OK and answer[1] is not None


PAGE = Page(
    path="/",
    title="Overview",
    make=model,
    template="overview.html",
    query=("waiting",),
    rows="keys",
    for_keys=False,
    poll_s=10,
)
