"""A key, for an operator and for its holder: how much is left, where did it go, why was it refused?"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from proxy.admin.failed import what_to_do
from proxy.admin.page.bounds import Budget, Limit, bounds_of
from proxy.admin.page.known_keys import KnownKey, known_key
from proxy.admin.page.page import Elsewhere, Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.errors import NotFound
from proxy.notices.for_holders import advice_for_holder
from proxy.store import sessions, usage, views
from proxy.store.scope import Scope
from proxy.store.sessions import Session
from proxy.store.usage import Group

_DAY_MS = 86_400_000
_DAYS, _MOST_ROWS, _MOST_GROUPS = 30, 10, 1_000
# Of a key with hundreds of thousands of requests a day, what takes longer is left out, and the rest is there in time.
_PART_WITHIN_S = 1.2
_T = TypeVar("_T")


class KeysDay(msgspec.Struct, frozen=True):
    """What a model cost a key on a day; `day` is counted since 1970."""

    day: int
    model: str
    requests: int
    cost_micros: int


class Refused(msgspec.Struct, frozen=True):
    """Requests of the last 24 hours that ended badly alike; `do`: what to do about it."""

    cause: str
    status: int | None
    requests: int
    last_ms: int
    sample_id: str
    do: str


class Client(msgspec.Struct, frozen=True):
    """What a client, product and version, has asked for in the last 24 hours."""

    client: str
    requests: int
    cost_micros: int


class KeyPage(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        name: of the key. `known`: None: it is neither in configuration nor in the store.
        budgets, limits: its own, and its owner's.
        today_micros: what it has cost today. `days`: of the last 30.
        sessions, refused, clients: of the last 24 hours.
        base_url: where its clients find the gateway.
        missing: which of these the store has not told in time.
    """

    name: str
    now_ms: int
    known: KnownKey | None
    budgets: tuple[Budget, ...]
    limits: tuple[Limit, ...]
    today_micros: int
    days: tuple[KeysDay, ...]
    sessions: tuple[Session, ...]
    refused: tuple[Refused, ...]
    clients: tuple[Client, ...]
    base_url: str
    missing: tuple[str, ...]


async def model(view: View, viewer: Viewer, query: Query) -> KeyPage:
    """Return the model of the page.

    Raises:
        NotFound: there is no such key, or it is another's.
    """
    name, now_ms = query["name"], view.now_ms()
    scope = viewer.scope(key=name)
    known = await known_key(view, name, now_ms)
    days, found, causes, clients, missing = await view.ask(
        lambda engine: _stored(engine, scope, now_ms, with_sessions=view.shows_sessions)
    )
    if known is None and not days:
        raise NotFound("no such key")
    bounds = await bounds_of(view, "key", name)
    budgets, limits = bounds.budgets, bounds.limits
    if known is not None and known.owner is not None:
        owners = await bounds_of(view, "owner", known.owner)
        budgets, limits = budgets + owners.budgets, limits + owners.limits
    today = now_ms // _DAY_MS
    return KeyPage(
        name=name,
        now_ms=now_ms,
        known=known,
        budgets=budgets,
        limits=limits,
        today_micros=sum(each.cost_micros for each in days if each.of[0] == today),
        days=tuple(
            KeysDay(int(each.of[0]), str(each.of[1]), each.requests, each.cost_micros)
            for each in days
        ),
        sessions=tuple(found),
        refused=tuple(_refused(each, viewer, view) for each in causes[:_MOST_ROWS]),
        clients=tuple(
            Client(str(each.of[0]), each.requests, each.cost_micros)
            for each in clients
            if each.of[0]
        ),
        base_url=view.base_url,
        missing=missing,
    )


_Stored = tuple[list[Group], list[Session], list[views.Failures], list[Group], tuple[str, ...]]


def _stored(engine: sa.Engine, scope: Scope, now_ms: int, *, with_sessions: bool) -> _Stored:
    first_ms = (now_ms // _DAY_MS - _DAYS + 1) * _DAY_MS
    month = msgspec.structs.replace(scope, since_ms=first_ms)
    day = msgspec.structs.replace(scope, since_ms=now_ms - _DAY_MS)
    days = usage.usage(engine, ["day", "model"], month, limit=_MOST_GROUPS)
    missing: list[str] = []

    def part(name: str, ask: Callable[[], list[_T]]) -> list[_T]:
        try:
            return ask()
        except sa.exc.OperationalError:
            missing.append(name)
            return []

    found = part(
        "sessions",
        lambda: (
            sessions.sessions(engine, day, limit=_MOST_ROWS, within_s=_PART_WITHIN_S / 2)
            if with_sessions
            else []
        ),
    )
    causes = part("refused", lambda: views.failures(engine, day, within_s=_PART_WITHIN_S))
    clients = part(
        "clients",
        lambda: usage.usage(
            engine,
            ["client"],
            day,
            limit=_MOST_ROWS,
            dearest_first=True,
            within_s=_PART_WITHIN_S,
        ),
    )
    return days, found, causes, clients, tuple(missing)


def _refused(failures: views.Failures, viewer: Viewer, view: View) -> Refused:
    if viewer.key is not None:
        do = advice_for_holder(failures.cause, view.config.quota.contact)
    else:
        do = what_to_do(failures.cause, failures.upstream)
    return Refused(
        cause=failures.cause,
        status=failures.status,
        requests=failures.requests,
        last_ms=failures.last_ms,
        sample_id=failures.sample_id,
        do=do,
    )


async def mine(view: View, viewer: Viewer, query: Query) -> KeyPage | Elsewhere:
    """Return the model of a key's holder's own page; an operator has none."""
    if viewer.key is None:
        return Elsewhere("")
    return await model(view, viewer, {**query, "name": viewer.key})


PAGE = Page(
    path="/keys/{name}",
    title="Key",
    make=model,
    template="key.html",
    rows="days",
    in_nav=False,
)
ME = Page(path="/me", title="Me", make=mine, template="key.html", rows="days", poll_s=10)
