"""Mounts the pages in the admin API's application, and answers for each: page, JSON or CSV of one model."""

import functools
import hashlib
import re
from typing import Any

import aiohttp_jinja2
import jinja2
import msgspec
from aiohttp import web

from proxy.admin.context import CONTEXT, json
from proxy.admin.page import doors, filters, static_files
from proxy.admin.page.foot import foot
from proxy.admin.page.page import Elsewhere, Page, View
from proxy.admin.page.pages import PAGES
from proxy.admin.page.shared import SharedModels, SharedWorkers
from proxy.admin.page.sign_in import SignIn
from proxy.admin.page.tables import to_csv
from proxy.admin.page.viewer import Viewer
from proxy.admin.paging import refuse_unknown
from proxy.admin.state import WORKERS
from proxy.config import Admin
from proxy.errors import NotFound

_VARIABLE = re.compile(r"\{(\w+)\}")
_DIGEST_BYTES = 12


class Made(msgspec.Struct, frozen=True):
    """A model, and when it was made."""

    at_ms: int
    model: msgspec.Struct


_SHARED = web.AppKey("shared_models", SharedModels[Made])


def mount(app: web.Application, admin: Admin) -> None:
    """Add the pages to an application of the admin API, which has its context already.

    Args:
        app: of the admin API.
        admin: of the configuration.
    """
    app[doors.VIEW] = View(app[CONTEXT], SharedWorkers(app[WORKERS]))
    app[doors.SIGN_IN] = SignIn(admin)
    app[_SHARED] = SharedModels()
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("proxy.admin.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=filters.FILTERS,
    )
    aiohttp_jinja2.get_env(app).globals.update(filters.GLOBALS)
    app.add_routes(
        [
            web.get("/static/{digest}/{name}", static_files.serve),
            web.get("/sign-in", doors.show),
            web.post("/sign-in", doors.sign_in),
            web.post("/sign-out", doors.sign_out),
        ]
    )
    for page in PAGES:
        if page.of_sessions and not admin.sessions:
            continue
        path = _VARIABLE.sub(r"{\1:[^/]+?}", "/overview" if page.path == "/" else page.path)
        handler = doors.for_signed_in(functools.partial(_serve, page=page), page)
        # An id may end as a form does: `.html` behind it leaves no doubt.
        app.router.add_get(path + r"{form:(\.(html|json|csv))?}", handler)
        if page.path == "/":
            app.router.add_get("/", handler, name=doors.ROOT)


async def _serve(request: web.Request, viewer: Viewer, *, page: Page) -> web.StreamResponse:
    refuse_unknown(request.query, *page.query, "pause")
    path = dict(request.match_info)
    form = path.pop("form", "")
    query = {name: value for name, value in request.query.items() if name != "pause"} | path
    view = request.app[doors.VIEW]
    asked = (page.path, viewer.key, *sorted(query.items()))

    async def make() -> Made:
        return Made(view.now_ms(), await page.make(view.of(viewer), viewer, query))

    made = await request.app[_SHARED].get(asked, make)
    if isinstance(made.model, Elsewhere):
        return doors.lead_to(request, made.model.path)
    draw = view.of(viewer).draw
    if form in (".json", ".csv"):
        return await draw(functools.partial(_as_data, request, page, form, made.model))
    digest = await draw(functools.partial(_digest, made.model))
    if request.headers.get("If-Was") == digest:
        return web.Response(status=204)
    shown = {
        "page": page,
        "model": made.model,
        "viewer": viewer,
        "query": query,
        "digest": digest,
        "foot": await foot(view, made.at_ms),
        **_links(request, page, form),
    }
    return await draw(functools.partial(_as_page, request, page.template, shown))


# From threads, since large ones take long; and nobody waits any more for what has no transport.


def _as_data(request: web.Request, page: Page, form: str, model: Any) -> web.Response:
    if request.transport is None:
        return web.Response()
    if form == ".json":
        return json(model)
    if not page.rows:
        raise NotFound("this page has no rows: ask for .json")
    return web.Response(text=to_csv(model, page.rows), content_type="text/csv")


def _digest(model: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(model), digest_size=_DIGEST_BYTES).hexdigest()


def _as_page(request: web.Request, template: str, shown: dict[str, Any]) -> web.Response:
    return web.Response() if request.transport is None else doors.render(request, template, **shown)


def _links(request: web.Request, page: Page, form: str) -> dict[str, Any]:
    """Return where else the page is: paused, going on, and in other forms."""
    url = request.rel_url.without_query_params("pause")
    path = url.raw_path.removesuffix(form)
    if page.path == "/":
        path = doors.base_of(request) + "overview"
    return {
        "paused": "pause" in request.query,
        "running_url": str(url),
        "paused_url": str(url.update_query(pause="1")),
        "form_url": lambda form: f"{path}{form}?{url.raw_query_string}".rstrip("?"),
    }
