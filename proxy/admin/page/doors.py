"""The doors of the pages: who is let in, what the sign-in shows, and how a failure looks."""

import contextlib
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp_jinja2
from aiohttp import hdrs, web

from proxy.admin.page.page import Page, View
from proxy.admin.page.pages import PAGES
from proxy.admin.page.sign_in import SignIn
from proxy.admin.page.static_files import DIGEST, SHEETS
from proxy.admin.page.viewer import Viewer
from proxy.aiohttp_fast.keys import RequestKey
from proxy.errors import NotFound, ProxyError, StoreUnavailable, TooManyTries, Unauthenticated

VIEW = web.AppKey("view", View)
SIGN_IN = web.AppKey("sign_in", SignIn)
ROOT = "root"
_VIEWER: RequestKey[Viewer | None] = RequestKey("viewer", Viewer)
_UNAUTHENTICATED = 401
_FORM, _MOST_FIELDS = "application/x-www-form-urlencoded", 10

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageHandler = Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]


def base_of(request: web.Request) -> str:
    """Return what the paths of the pages begin with: `/`, or where an application has mounted them."""
    return str(request.app.router[ROOT].url_for())


def for_signed_in(handler: PageHandler, page: Page) -> Handler:
    """Return a handler that is for who may see a page."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        viewer = await _viewer_of(request)
        if viewer is None:
            return _to_sign_in(request)
        if viewer.key is not None and not page.for_keys:
            if page.path == "/" and not request.match_info.get("form"):
                raise web.HTTPSeeOther(base_of(request) + "me")
            raise NotFound("no such page")
        return await handler(request, viewer)

    return guarded


async def _viewer_of(request: web.Request) -> Viewer | None:
    """Return who asks, looked up once a request: a wrong key is one try; None: nobody, or a wrong key, the second time.

    Raises:
        Unauthenticated: a header has what opens nothing.
        TooManyTries: too many wrong ones came from there.
    """
    if _VIEWER not in request:
        request[_VIEWER] = None
        request[_VIEWER] = await request.app[SIGN_IN].viewer_of(request, request.app[VIEW])
    return request[_VIEWER]


async def opens(request: web.Request) -> bool:
    """Return whether the key that a request shows opens any page.

    Raises:
        StoreUnavailable: whether it does is not known.
    """
    try:
        return await _viewer_of(request) is not None
    except (Unauthenticated, TooManyTries):
        return False


def _to_sign_in(request: web.Request) -> web.StreamResponse:
    if request.match_info.get("form") in (".json", ".csv"):
        raise Unauthenticated("missing")
    if "HX-Request" in request.headers:
        # A page that was open when the sign-in ended: it is loaded anew.
        return web.Response(headers={"HX-Refresh": "true"})
    wanted = urllib.parse.urlencode({"next": request.path_qs})
    raise web.HTTPSeeOther(f"{base_of(request)}sign-in?{wanted}")


def lead_to(request: web.Request, path: str) -> web.StreamResponse:
    """Return what leads to another page; a script that polls leaves the page only if it is told so."""
    place = base_of(request) + path
    if "HX-Request" in request.headers:
        return web.Response(headers={"HX-Redirect": place})
    raise web.HTTPSeeOther(place)


async def show(request: web.Request) -> web.StreamResponse:
    """Serve `GET /sign-in`."""
    return render(request, "sign_in.html", next=_next(request.query.get("next")), wrong="")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Serve `POST /sign-in`: the form's key, and where to go then."""
    form = await _form_of(request)
    given, wanted = form.get("key", ""), form.get("next")
    response = web.Response(status=303)
    try:
        viewer = await request.app[SIGN_IN].sign_in(request, request.app[VIEW], given, response)
    except Unauthenticated:
        return render(
            request,
            "sign_in.html",
            status=_UNAUTHENTICATED,
            next=_next(wanted),
            wrong="This is none of the keys that open these pages.",
        )
    start = base_of(request) + ("" if viewer.key is None else "me")
    response.headers["Location"] = _next(wanted) or start
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """Serve `POST /sign-out`."""
    response = web.Response(status=303, headers={"Location": base_of(request) + "sign-in"})
    request.app[SIGN_IN].sign_out(response)
    return response


async def _form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form, as our own page sends it; none of what is another one.

    Not by aiohttp, which reads further kinds, in whatever charset they name, and raises what is no refusal at many.
    """
    if request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() != _FORM:
        return {}
    text = (await request.read()).decode(errors="replace")
    with contextlib.suppress(ValueError):
        return dict(urllib.parse.parse_qsl(text, max_num_fields=_MOST_FIELDS))
    return {}


def _next(wanted: str | None) -> str:
    """Return a path of this origin to go to; nothing: there is none."""
    if wanted is None or not wanted.startswith("/"):
        return ""
    # Browsers take `//` and `/\\` for the beginning of another origin, and leave control characters out.
    is_elsewhere = wanted[1:2] in ("/", "\\") or not wanted.isprintable()
    return "" if is_elsewhere else wanted


async def failure(request: web.Request, error: ProxyError, request_id: str) -> web.Response:
    """Return the page of a failure."""
    view = request.app[VIEW]
    try:
        viewer = await _viewer_of(request)
    except ProxyError:
        viewer = None
    since_ms = view.store_down_since_ms if isinstance(error, StoreUnavailable) else None
    response = render(
        request,
        "error.html",
        status=error.status,
        error=error,
        viewer=viewer,
        request_id=request_id,
        down_since_ms=since_ms,
    )
    response.headers.update(error.headers())
    return response


def render(request: web.Request, template: str, *, status: int = 200, **shown: Any) -> web.Response:
    """Return a page."""
    base, viewer = base_of(request), shown.get("viewer")
    always = {
        "base": base,
        "static": f"{base}static/{DIGEST}/",
        "sheets": SHEETS,
        "path_qs": request.path_qs,
        "viewer": None,
        "page": None,
        "key_holders": request.app[SIGN_IN].key_holders,
        "foot": None,
        "nav": _nav(viewer, request.app[VIEW]) if viewer is not None else (),
    }
    response = aiohttp_jinja2.render_template(template, request, always | shown, status=status)
    response.enable_compression()
    return response


def _nav(viewer: Viewer, view: View) -> list[Page]:
    return [
        page
        for page in PAGES
        if page.in_nav
        and (page.path != "/me" or viewer.key is not None)
        and (page.for_keys or viewer.key is None)
        and (view.shows_sessions or not page.of_sessions)
    ]
