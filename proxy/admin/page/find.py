"""Find: whatever has an id or a name that begins so; the only one is its page at once."""

import msgspec

from proxy.admin.page.known_keys import known_keys
from proxy.admin.page.page import Elsewhere, Page, Query, View
from proxy.admin.page.paths import quoted
from proxy.admin.page.viewer import Viewer
from proxy.store.find import Hit, find

_MOST_CHARS = 200
_MOST_KEYS = 20
_OURS = "req_"


class Found(msgspec.Struct, frozen=True):
    """Something that was found; `path`: of its page, below where the pages are."""

    kind: str
    name: str
    path: str


class Find(msgspec.Struct, frozen=True):
    """The model of the page."""

    text: str
    found: tuple[Found, ...]


async def model(view: View, viewer: Viewer, query: Query) -> Find | Elsewhere:
    """Return the model of the page; the page of what was found when it is one thing."""
    text = query.get("q", "").strip()[:_MOST_CHARS]
    if not text:
        return Find("", ())
    found = await _keys(view, viewer, text)
    if view.has_store:
        scope, with_sessions = viewer.scope(), view.shows_sessions
        for asked in dict.fromkeys((text, text.removeprefix(_OURS))):
            if asked:
                hits = await view.ask(
                    lambda engine, asked=asked: find(  # type: ignore[misc]  # the value of now
                        engine, scope, asked, with_sessions=with_sessions
                    )
                )
                found += map(_found, hits)
    found = list(dict.fromkeys(found))
    exact = [each for each in found if each.name == text]
    if len(found) == 1 or len(exact) == 1:
        return Elsewhere((exact or found)[0].path)
    return Find(text, tuple(found))


async def _keys(view: View, viewer: Viewer, text: str) -> list[Found]:
    names = [each.name for each in await known_keys(view, view.now_ms())]
    return [
        Found("key", name, f"keys/{quoted(name)}")
        for name in names
        if text in name and viewer.may_see(name)
    ][:_MOST_KEYS]


def _found(hit: Hit) -> Found:
    if hit.kind == "request":
        return Found(hit.kind, hit.id, f"requests/{quoted(hit.id)}")
    return Found(hit.kind, hit.id, f"sessions/{quoted(hit.session_id or '')}")


PAGE = Page(
    path="/find",
    title="Find",
    make=model,
    template="find.html",
    query=("q",),
    rows="found",
    in_nav=False,
)
