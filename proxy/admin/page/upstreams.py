"""Upstreams: which of them serve, how fast, how much of it from their caches, and who has moved where?"""

from typing import Any

import msgspec

from proxy.admin import upstreams
from proxy.admin.cooling import reason_of
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.errors import StoreUnavailable
from proxy.notices.notice import ADVICE
from proxy.store import views
from proxy.store.views import Percentiles

_HOUR_MS = 3_600_000


class Upstream(msgspec.Struct, frozen=True):
    """An upstream; the first fields as `GET /admin/v1/upstreams` has them, counted since the workers began.

    Attributes:
        do: what to do about why it cools or fails; empty: it does not, or nobody knows.
        first_byte_p50_ms, …: over the requests of the last hour; None: none, or there is no store.
        hour_requests, hour_failed: in the last hour.
        hit_share: what it read from its cache of all input.
        headroom: of each kind of limit of its account the share that is left.
        why: the reason, and the model, where one alone cools; empty: it is up.
    """

    upstream: str
    state: str
    cooling_s: float | None
    reason: str | None
    do: str
    in_flight: int
    requests: int
    failures: int
    moved_away: int
    stood_in: int
    homes: int
    hit_share: float | None
    headroom: dict[str, float]
    hour_requests: int
    hour_failed: int
    first_byte_p50_ms: int | None
    first_byte_p95_ms: int | None
    total_p95_ms: int | None
    why: str


class Upstreams(msgspec.Struct, frozen=True):
    """The model of the page; `knows_times`: whether the store says how long requests took."""

    upstreams: tuple[Upstream, ...]
    knows_times: bool
    workers: int
    workers_silent: int


async def model(view: View, viewer: Viewer, query: Query) -> Upstreams:
    """Return the model of the page.

    Raises:
        WorkerUnavailable: no worker answers.
    """
    del query
    answers = await view.workers.upstreams()
    told = upstreams.merged(upstreams.told(answers), view.now_ms())
    times, knows_times = await _times(view, viewer)
    return Upstreams(
        upstreams=tuple(_upstream(each, times.get(each["upstream"])) for each in told),
        knows_times=knows_times,
        workers=len(answers),
        workers_silent=answers.count(None),
    )


async def _times(view: View, viewer: Viewer) -> tuple[dict[str, Percentiles], bool]:
    scope = viewer.scope(since_ms=view.now_ms() - _HOUR_MS)
    try:
        found = await view.ask(lambda engine: views.percentiles(engine, scope))
    except StoreUnavailable:
        # What workers know does not wait for it.
        return {}, False
    return {each.upstream: each for each in found}, True


def _upstream(told: dict[str, Any], times: Percentiles | None) -> Upstream:
    advice = ADVICE.get(_cause(told["reason"]))
    same = ("upstream", "state", "cooling_s", "reason", "in_flight", "requests", "failures")
    moves = ("moved_away", "stood_in", "homes")
    return Upstream(
        **{name: told[name] for name in (*same, *moves)},
        why="" if told["reason"] is None else reason_of(told),
        do="" if advice is None else advice.for_subject(told["upstream"]),
        hit_share=told["cache"]["hit_share"],
        headroom=_headroom(told["account"]),
        hour_requests=0 if times is None else times.requests,
        hour_failed=0 if times is None else times.failed,
        first_byte_p50_ms=None if times is None else times.first_byte_ms.get(50),
        first_byte_p95_ms=None if times is None else times.first_byte_ms.get(95),
        total_p95_ms=None if times is None else times.total_ms.get(95),
    )


def _cause(reason: str | None) -> str:
    """Return the word of the log for why an upstream cools or fails, which a status, or the API's own word, is not."""
    if reason in ("401", "403"):
        return "upstream_auth"
    if reason is None or reason in ADVICE:
        return str(reason)
    return "upstream_error"


def _headroom(account: dict[str, Any] | None) -> dict[str, float]:
    kinds = {name: each for name, each in (account or {}).items() if isinstance(each, dict)}
    return {
        name: each["remaining"] / each["limit"]
        for name, each in kinds.items()
        if each.get("limit") and each.get("remaining") is not None
    }


PAGE = Page(
    path="/upstreams",
    title="Upstreams",
    make=model,
    template="upstreams.html",
    rows="upstreams",
    for_keys=False,
    poll_s=5,
)
