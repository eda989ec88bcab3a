"""Keys: whose they are, what they cost, what they have left, and which are not used."""

import msgspec

from proxy.admin.page.bounds import Budget, all_bounds
from proxy.admin.page.known_keys import KnownKey, deleted_keys, known_keys
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.store import find, usage
from proxy.store.usage import Group

_DAY_MS = 86_400_000
_DAYS = 30
_MOST = 5_000


class KeyRow(msgspec.Struct, frozen=True):
    """A key; of the last 30 days unless said.

    Attributes:
        is_known: whether it is in configuration or store still, or a user of the application that holds the gateway.
        last_day: that it was used on, as days since 1970; None: it was never used.
        reached_ms: when its budget is spent at this pace.
    """

    name: str
    owner: str | None
    source: str
    state: str
    expires_at: str | None
    requests: int
    refused: int
    failed: int
    cost_micros: int
    today_micros: int
    last_day: int | None
    budget: Budget | None
    reached_ms: int | None


class Keys(msgspec.Struct, frozen=True):
    """The model of the page; `budgets` are those of owners and of all keys together."""

    now_ms: int
    keys: tuple[KeyRow, ...]
    budgets: tuple[Budget, ...]


async def model(view: View, viewer: Viewer, query: Query) -> Keys:
    """Return the model of the page."""
    now_ms, text = view.now_ms(), query.get("q", "")
    today_ms = now_ms // _DAY_MS * _DAY_MS
    known = {each.name: each for each in await known_keys(view, now_ms)}
    deleted = await deleted_keys(view) - known.keys()
    month = viewer.scope(since_ms=today_ms - (_DAYS - 1) * _DAY_MS)
    groups = await view.ask(lambda engine: usage.usage(engine, ["key"], month, limit=_MOST))
    today = viewer.scope(since_ms=today_ms)
    of_today = await view.ask(lambda engine: usage.usage(engine, ["key"], today, limit=_MOST))
    last = await view.ask(lambda engine: find.last_days(engine, viewer.scope()))
    used = {str(each.of[0]): each for each in groups}
    spent = {str(each.of[0]): each.cost_micros for each in of_today}
    bounds = await all_bounds(view)
    budgets = {each.subject: each for each in reversed(bounds.budgets)}
    rows = [
        _row(name, known.get(name), used.get(name), budgets.get(f"key {name}"), now_ms)
        for name in {*known, *used} - {""}
        if text in name
    ]
    rows = [
        msgspec.structs.replace(
            each, last_day=last.get(each.name), today_micros=spent.get(each.name, 0)
        )
        for each in rows
    ]
    gone = {"source": "store", "state": "deleted"}
    rows = [
        msgspec.structs.replace(each, **gone) if each.name in deleted else each for each in rows
    ]
    rows.sort(key=lambda each: (-each.cost_micros, each.name))
    return Keys(
        now_ms, tuple(rows), tuple(each for each in bounds.budgets if each.subject[:4] != "key ")
    )


def _row(
    name: str, known: KnownKey | None, used: Group | None, budget: Budget | None, now_ms: int
) -> KeyRow:
    return KeyRow(
        name=name,
        owner=known.owner if known else None,
        source=known.source if known else "elsewhere",
        state=known.state if known else "",
        expires_at=known.expires_at if known else None,
        requests=used.requests if used else 0,
        refused=used.refused if used else 0,
        failed=used.failed if used else 0,
        cost_micros=used.cost_micros if used else 0,
        today_micros=0,
        last_day=None,
        budget=budget,
        reached_ms=budget.reached_ms(now_ms) if budget else None,
    )


PAGE = Page(
    path="/keys",
    title="Keys",
    make=model,
    template="keys.html",
    query=("q",),
    rows="keys",
    for_keys=False,
)
