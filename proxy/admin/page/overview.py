"""Overview: are we fine, and what does it cost right now?"""

import msgspec

from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.store import usage
from proxy.store.usage import Group

_DAY_MS = 86_400_000


class KeyToday(msgspec.Struct, frozen=True):
    """What a key has done today."""

    key: str
    requests: int
    cost_micros: int


class Overview(msgspec.Struct, frozen=True):
    """The model of the page."""

    keys: tuple[KeyToday, ...]


async def model(view: View, viewer: Viewer, query: Query) -> Overview:
    """Return the model of the page."""
    del query
    today_ms = view.now_ms() // _DAY_MS * _DAY_MS
    scope = viewer.scope(since_ms=today_ms)
    found = await view.ask(
        lambda engine: usage.usage(engine, ["key"], scope, limit=50, dearest_first=True)
    )
    return Overview(tuple(map(_key, found)))


def _key(group: Group) -> KeyToday:
    return KeyToday(str(group.of[0]), group.requests, group.cost_micros)


PAGE = Page(
    path="/",
    title="Overview",
    make=model,
    template="overview.html",
    rows="keys",
    for_keys=False,
    poll_s=10,
)
