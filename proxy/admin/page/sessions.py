"""Sessions: which ones cost what, and which of them still run."""

import msgspec

from proxy.admin.page import asked
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.errors import InvalidRequest
from proxy.store import sessions
from proxy.store.newest import newest
from proxy.store.sessions import ORDERS, Order, Session

_A_PAGE = 50
# A session whose last request ended so long ago is taken to have ended.
RUNS_WITHIN_MS = 300_000
_FILTERS = ("key", "owner", "model", "tag", "client")


class Sessions(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        since_ms: from when on requests count.
        now_ms: when it was made, by which a session is running.
        order: one of `orders`.
        page: its number, from 0. `has_more`: whether there is a next one.
        left_out_before_ms: of more requests than can be looked at, those before are not counted; None: all are.
    """

    since_ms: int
    now_ms: int
    order: str
    orders: tuple[str, ...]
    page: int
    has_more: bool
    left_out_before_ms: int | None
    sessions: tuple[Session, ...]

    def runs(self, session: Session) -> bool:
        """Return whether a session is taken to run."""
        return session.last_ms > self.now_ms - RUNS_WITHIN_MS


async def model(view: View, viewer: Viewer, query: Query) -> Sessions:
    """Return the model of the page.

    Raises:
        InvalidRequest: the query asks for what there is not.
    """
    now_ms, order = view.now_ms(), order_of(query.get("order"))
    since_ms, page = asked.since_ms(query, now_ms, "24h"), asked.number(query, "page")
    scope = viewer.scope(since_ms=since_ms, **asked.filters(query, *_FILTERS))
    counted = await view.ask(lambda engine: newest(engine, scope, ("session",)))
    found = await view.ask(
        lambda engine: sessions.sessions(
            engine, counted, order=order, limit=_A_PAGE + 1, offset=page * _A_PAGE
        )
    )
    left_out = None if counted is scope else counted.since_ms
    shown = tuple(found[:_A_PAGE])
    return Sessions(since_ms, now_ms, order, ORDERS, page, len(found) > _A_PAGE, left_out, shown)


def order_of(text: str | None) -> Order:
    """Return the order that is asked for.

    Raises:
        InvalidRequest: there is none such.
    """
    for order in ORDERS:
        if text in (order, None, ""):
            return order
    raise InvalidRequest(f"order: must be one of {', '.join(ORDERS)}")


PAGE = Page(
    path="/sessions",
    title="Sessions",
    make=model,
    template="sessions.html",
    query=("since", "order", "page", *_FILTERS),
    rows="sessions",
    of_sessions=True,
    poll_s=30,
)
