"""Session: where did this session's money go?"""

import urllib.parse

from proxy.admin import session_report
from proxy.admin.page import figures
from proxy.admin.page.charts import Chart
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.sessions import RUNS_WITHIN_MS
from proxy.admin.page.timelines import Lane, Span, lanes
from proxy.admin.page.viewer import Viewer
from proxy.admin.session_report import Asked, SessionReport
from proxy.errors import NotFound

_SHOWN_ID_CHARS = 8


class OneSession(SessionReport, frozen=True, kw_only=True):
    """The model of the page; `is_running`: its last request ended a moment ago."""

    is_running: bool
    is_unfolded: bool

    def chart(self, base: str) -> Chart:
        """Return a lane per agent, and a bar per request."""
        by_lane: dict[str, list[Asked]] = {}
        for each in self.requests:
            by_lane.setdefault(each.lane, []).append(each)
        drawn = [
            Lane(_label(name, asked[0]), tuple(_span(each, base) for each in asked))
            for name, asked in by_lane.items()
        ]
        return lanes(drawn, f"Session {self.session.id[:_SHOWN_ID_CHARS]} by agent")


async def model(view: View, viewer: Viewer, query: Query) -> OneSession:
    """Return the model of the page.

    Raises:
        NotFound: there is no such session, or none of whose requests may be seen.
    """
    scope, unfolded = viewer.scope(), query.get("open") == "1"
    found = await view.ask(
        lambda engine: session_report.report(engine, scope, query["id"], unfolded=unfolded)
    )
    if found is None:
        raise NotFound("no such session: it may be older than what is kept of single requests")
    return OneSession(
        found.session,
        found.is_cut,
        found.lines,
        found.requests,
        is_running=found.session.last_ms > view.now_ms() - RUNS_WITHIN_MS,
        is_unfolded=unfolded,
    )


def _label(lane: str, first: Asked) -> str:
    return f"{first.agent_type} {lane[:_SHOWN_ID_CHARS]}" if first.agent_type else lane


def _span(each: Asked, base: str) -> Span:
    lost = None
    if each.break_reason is not None:
        lost = f"{each.break_reason}, {figures.money(each.break_micros)} lost"
    outcome = each.cause or "ok"
    return Span(
        each.at_ms,
        each.at_ms + (each.total_ms or 0),
        f"{each.model or figures.NONE}, {figures.money(each.cost_micros)}, {outcome}",
        f"{base}requests/{urllib.parse.quote(each.id, safe='')}",
        lost,
        each.is_failed,
    )


PAGE = Page(
    path="/sessions/{id}",
    title="Session",
    make=model,
    template="session.html",
    query=("open",),
    rows="requests",
    in_nav=False,
    of_sessions=True,
    poll_s=10,
)
