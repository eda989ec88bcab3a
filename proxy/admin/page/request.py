"""Request: why did this one cost that, or fail?"""

import msgspec

from proxy.admin import hidden
from proxy.admin.failed import UPSTREAMS, fault_of, what_to_do
from proxy.admin.page.charts import Chart
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.timelines import Step, waterfall
from proxy.admin.page.viewer import Viewer
from proxy.causes import Cause
from proxy.errors import NotFound
from proxy.ledger.row import Row
from proxy.money.steps import Steps, steps
from proxy.notices.for_holders import advice_for_holder
from proxy.store import sessions, views
from proxy.store.sessions import Break

_US_PER_MS = 1000


class OneRequest(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        request: the ledger's row, by its fields.
        sum: how its cost comes about; None: it used nothing.
        cache_break: what of the cache it missed; None: it is no break, or not looked at yet.
        shows_session: whether session and agent may be shown.
        do: what to do about its cause; '': nothing, or nobody knows.
    """

    request: dict[str, str | int | None]
    sum: Steps | None
    cache_break: Break | None
    shows_session: bool
    do: str

    @property
    def is_answered_here(self) -> bool:
        """Whether no upstream was asked: not when none could be reached, nor when nobody waited for an answer."""
        cause = self.request["cause"]
        return (
            self.request["attempts"] == 0
            and isinstance(cause, str)
            and cause != Cause.CLIENT_CLOSED
            and fault_of(cause) != UPSTREAMS
        )

    def chart(self) -> Chart:
        """Return what it did, step below step."""
        of = self.request
        sent, first, whole = (of[name] for name in ("gateway_us", "first_byte_ms", "total_ms"))
        queued = float(of["queued_ms"] or 0)
        done: list[Step] = [Step("waiting for its turn", 0, queued)] if queued else []
        at = queued
        if self.is_answered_here and isinstance(whole, int):
            done.append(Step("answered by the gateway", at, max(at, whole)))
            return waterfall(done, "What it did")
        if isinstance(sent, int):
            done.append(Step("in the gateway", at, at + sent / _US_PER_MS))
            at += sent / _US_PER_MS
        if isinstance(first, int):
            done.append(Step("waiting for the first byte", at, max(at, first)))
            at = max(at, float(first))
        if isinstance(whole, int):
            done.append(Step("from the first byte to the end", at, max(at, whole)))
        return waterfall(done, "What it did")


async def model(view: View, viewer: Viewer, query: Query) -> OneRequest:
    """Return the model of the page.

    Raises:
        NotFound: there is no such request, or another's.
    """
    scope = viewer.scope()
    row = await view.ask(lambda engine: views.request(engine, scope, query["id"]))
    if row is None:
        raise NotFound(
            "no such request: it may be older than what is kept, or not in the store yet"
        )
    found = await view.ask(lambda engine: sessions.breaks_of(engine, scope, [row.id]))
    shown = _fields(row) if view.shows_sessions else hidden.without(_fields(row))
    return OneRequest(
        shown,
        steps(row, view.prices),
        found.get(row.id),
        view.shows_sessions,
        _do(row, viewer, view.config.quota.contact),
    )


def _do(row: Row, viewer: Viewer, contact: str) -> str:
    if row.cause is None:
        return ""
    if viewer.key is not None:
        return advice_for_holder(row.cause, contact)
    return what_to_do(row.cause, row.upstream)


def _fields(row: Row) -> dict[str, str | int | None]:
    return msgspec.structs.asdict(row)


PAGE = Page(
    path="/requests/{id}",
    title="Request",
    make=model,
    template="request.html",
    in_nav=False,
)
