"""Live: what is happening this second, and what hangs?"""

import msgspec

from proxy.admin import live
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.errors import NotFound

_SLOW_MS = 30_000
_STUCK_MS = 5_000
_MOST = 200


class Doing(msgspec.Struct, frozen=True):
    """A request in flight; as `GET /admin/v1/live` has it."""

    id: str
    key: str | None
    model: str | None
    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    phase: str
    doing: str
    waiting_ms: int
    age_ms: int
    bytes_out: int
    upstream: str | None
    worker: int

    @property
    def is_stuck(self) -> bool:
        """Whether it has waited for longer than it should."""
        return self.waiting_ms >= (_STUCK_MS if self.phase == "client" else _SLOW_MS)


class Live(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        in_flight: of all workers that answer. `slow_first_byte`: of the listed ones, without an answer for 30 s.
            `unread`: those whose client has not read for 5 s.
        requests: those that have waited longest, first.
    """

    in_flight: int
    slow_first_byte: int
    unread: int
    phases: dict[str, int]
    requests: tuple[Doing, ...]
    has_more: bool
    workers: int
    workers_silent: int

    @property
    def flowing(self) -> int:
        """How many neither wait for their first byte for long, nor for their client."""
        return self.in_flight - self.slow_first_byte - self.unread


async def model(view: View, viewer: Viewer, query: Query) -> Live:
    """Return the model of the page.

    Raises:
        NotFound: the requests of another's key were asked for.
        WorkerUnavailable: no worker answers.
    """
    key = query.get("key") or None
    if key is not None and not viewer.may_see(key):
        raise NotFound("no such key")
    told = await live.report(
        view.workers,
        viewer.key or key,
        query.get("upstream") or None,
        shows_sessions=view.shows_sessions,
        limit=_MOST,
    )
    rows = [msgspec.convert(each, Doing) for each in told["data"]]
    return Live(
        in_flight=told["in_flight"],
        slow_first_byte=sum(row.phase == "awaiting_head" and row.is_stuck for row in rows),
        unread=sum(row.phase == "client" and row.is_stuck for row in rows),
        phases=told["phases"],
        requests=tuple(rows),
        has_more=told["has_more"],
        workers=told["workers"],
        workers_silent=told["workers_silent"],
    )


PAGE = Page(
    path="/live",
    title="Live",
    make=model,
    template="live.html",
    query=("key", "upstream"),
    rows="requests",
    poll_s=2,
)
