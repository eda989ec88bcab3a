"""Spend: sums by one or two of anything that requests have."""

import msgspec

from proxy.admin import hidden
from proxy.admin.page import asked
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.admin.shown import shown_group
from proxy.errors import InvalidRequest
from proxy.store import usage
from proxy.store.newest import newest
from proxy.store.tables import DAY_DIMENSIONS
from proxy.store.usage import Group

DIMENSIONS = (
    *("day", "hour", "key", "owner", "model", "upstream", "tag"),
    *("request_class", "agent_type", "client", "session"),
)
FILTERS = ("key", "owner", "model", "upstream", "tag", "request_class", "agent_type", "client")
_MOST = 1_000
_MAX_DIMENSIONS = 2
_HOUR_MS = 3_600_000


class SpendRow(msgspec.Struct, frozen=True):
    """Sums; `first` and `second` are what they are by, '' where requests have none."""

    first: str
    second: str
    requests: int
    failed: int
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    output_tokens: int
    estimated: int
    cost_micros: int

    @property
    def prompt_tokens(self) -> int:
        """All that was sent: read, written, or neither."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens


class Spend(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        by: one or two dimensions. `known`: those there are.
        since_ms: from when on; of sums of days, whole UTC days; by hour, a whole one.
        of_days: whether the sums are those of days, which are kept for ever.
        rows: the dearest first, by time where that is the first dimension.
        total: of the rows.
        is_cut: whether there are more.
        left_out_before_ms: of more requests than can be looked at, those before are not counted; None: all are.
    """

    by: tuple[str, ...]
    known: tuple[str, ...]
    since_ms: int
    of_days: bool
    rows: tuple[SpendRow, ...]
    total: SpendRow
    is_cut: bool
    left_out_before_ms: int | None


async def model(view: View, viewer: Viewer, query: Query) -> Spend:
    """Return the model of the page.

    Raises:
        InvalidRequest: the query asks for what there is not.
    """
    left_out = () if view.shows_sessions else hidden.DIMENSIONS
    known = tuple(name for name in DIMENSIONS if name not in left_out)
    if not view.shows_sessions:
        hidden.refuse(name for name, value in query.items() if value)
    by = tuple(dict.fromkeys(filter(None, (query.get("by") or "key,model").split(","))))
    if not 1 <= len(by) <= _MAX_DIMENSIONS or not set(by) <= set(known):
        raise InvalidRequest(f"by: must be one or two of {', '.join(known)}")
    named = asked.filters(query, *(name for name in FILTERS if name in known))
    of_days = {*by, *named} <= set(DAY_DIMENSIONS)
    since_ms = asked.since_ms(query, view.now_ms(), "30d" if of_days else "24h")
    if "hour" in by:
        since_ms -= since_ms % _HOUR_MS  # hours have sums, but of a part of one
    scope = viewer.scope(since_ms=since_ms, **named)
    by_time = by[0] in ("day", "hour")
    counted = await view.ask(lambda engine: newest(engine, scope, by))
    found = await view.ask(
        lambda engine: usage.usage(
            engine, by, counted, limit=_MOST + 1, dearest_first=not by_time, within_s=4.0
        )
    )
    rows = tuple(_row(by, group) for group in found[:_MOST])
    cut_ms = None if counted is scope else counted.since_ms
    return Spend(by, known, since_ms, of_days, rows, _total(rows), len(found) > _MOST, cut_ms)


def _row(by: tuple[str, ...], group: Group) -> SpendRow:
    shown = shown_group(by, group)
    first, second = (*(shown[name] or "" for name in by), "")[:_MAX_DIMENSIONS]
    written = group.cache_write_5m_tokens + group.cache_write_1h_tokens
    return SpendRow(
        first,
        second,
        group.requests,
        group.failed,
        group.input_tokens,
        written,
        group.cache_read_tokens,
        group.output_tokens,
        group.estimated,
        group.cost_micros,
    )


def _total(rows: tuple[SpendRow, ...]) -> SpendRow:
    columns = SpendRow.__struct_fields__[2:]
    return SpendRow("", "", *(sum(getattr(row, name) for row in rows) for name in columns))


PAGE = Page(
    path="/spend",
    title="Spend",
    make=model,
    template="spend.html",
    query=("by", "since", *FILTERS),
    rows="rows",
)
