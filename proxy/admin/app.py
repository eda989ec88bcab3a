"""The admin API and the pages as an application: the table of endpoints, and the middlewares in front of them."""

import asyncio
import importlib.util
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy import errors
from proxy.access.keys import read_keys
from proxy.admin import (
    breaks,
    errors_told,
    keys,
    live,
    metrics,
    owners,
    rounds,
    sessions,
    state,
    traces,
    upstreams,
    usage,
)
from proxy.admin.context import ADMIN, CONTEXT, AdminContext
from proxy.admin.credentials import AdminRing
from proxy.admin.guard import HEADERS, check
from proxy.admin.http_errors import MAX_BODY_BYTES, MAX_PATH_CHARS, to_proxy_error
from proxy.admin.runner import BROKEN_BY_CLIENT
from proxy.admin.state import WORKERS
from proxy.admin.times import Lately
from proxy.admin.workers import OwnGateway, SocketWorkers, Workers
from proxy.config import Config
from proxy.errors import ForeignHost, InternalError, InvalidRequest, OriginForbidden, ProxyError
from proxy.gateway import Gateway
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.received import new_id
from proxy.trailers import close_behind_chunks

_log = logging.getLogger(__name__)

_READS = ("GET", "HEAD")
_API = "/admin/v1"
_FOR_PROGRAMS = (_API, metrics.PATH)
_FORMS_FOR_PROGRAMS = (".json", ".csv")
_ROOT = "root"
_UNAVAILABLE = 503
_OF_THE_VIEW = ("jinja2", "aiohttp_jinja2", "itsdangerous")
_MISSING = (
    "the pages need the extra `view`: `make install` brings it, or `pip install '.[view]'` in a checkout; "
    "the admin API is below /admin/v1"
)


class ShowsFailures(Protocol):
    """How a failure looks on a page."""

    async def __call__(
        self, request: web.Request, error: ProxyError, request_id: str
    ) -> web.Response:
        """Return the page of a failure."""


_FAILURE = web.AppKey("failure", ShowsFailures)
# Whether what a request shows opens pages.
_OPENS: web.AppKey[Callable[[web.Request], Awaitable[bool]]] = web.AppKey("opens")

TABLE = (
    web.post("/admin/v1/keys", keys.create),
    web.get("/admin/v1/keys", keys.page),
    web.get("/admin/v1/keys/{name}", keys.get),
    web.patch("/admin/v1/keys/{name}", keys.patch),
    web.delete("/admin/v1/keys/{name}", keys.delete),
    web.post("/admin/v1/keys/{name}/rotate", keys.rotate),
    web.get("/admin/v1/owners", owners.list_all),
    web.get("/admin/v1/owners/{name}", owners.get),
    web.put("/admin/v1/owners/{name}", owners.put),
    web.delete("/admin/v1/owners/{name}", owners.delete),
    web.get("/admin/v1/usage", usage.groups),
    web.get("/admin/v1/requests", usage.requests),
    web.get("/admin/v1/audit", usage.audit),
    web.get("/admin/v1/limits", state.all_limits),
    web.get("/admin/v1/limits/{kind:key|owner}/{name}", state.limits),
    web.get("/admin/v1/limits/{kind:global}", state.limits),
    web.get("/admin/v1/ledger", state.ledger),
    web.get("/admin/v1/upstreams", upstreams.upstreams),
    web.get("/admin/v1/live", live.live),
    web.get("/admin/v1/errors", errors_told.errors),
    web.get(metrics.PATH, metrics.show),
    web.get("/admin/v1/sessions", sessions.page),
    web.get("/admin/v1/sessions/{id}", sessions.one),
    web.get("/admin/v1/cache", sessions.cache),
)


def create_app_for(gateway: Gateway) -> web.Application:
    """Make the application for a gateway of the same process; as `proxy.create_admin_app`."""
    app = create_app(gateway.snapshot.config, OwnGateway(gateway))
    gateway.has_admin = True
    gateway.begin_counting()
    gateway.on_reload.append(lambda config: _follow(app, config))
    return app


def _follow(app: web.Application, config: Config) -> None:
    app[CONTEXT].take_over(config)


def create_app(
    config: Config, workers: Workers | None = None, *, open_metrics: bool = False
) -> web.Application:
    """Make the application.

    Args:
        config: with `admin`; its store is opened when it is first asked something.
        workers: who counts the limits; None: nobody does.
        open_metrics: whether `/metrics` needs no credential.

    Raises:
        ValueError: the configuration has no `admin`.
    """
    if config.admin is None:
        raise ValueError("the configuration has no admin section")
    admin, ring = config.admin, AdminRing(config.admin.keys)

    async def opens_pages(request: web.Request) -> bool:
        opens = request.app.get(_OPENS)
        return opens is not None and await opens(request)

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check(request.method, request.headers, admin)
        except (ForeignHost, OriginForbidden):
            shows_key = read_keys(request.headers)
            if not (shows_key and (ring.knows(request.headers) or await opens_pages(request))):
                raise
        if _path(request).startswith(_API):
            request[ADMIN] = ring.authenticate(request.headers, writes=request.method not in _READS)
        return await handler(request)

    app = web.Application(
        middlewares=[close_behind_chunks, _shape_errors, let_in],
        client_max_size=MAX_BODY_BYTES,
    )
    app[CONTEXT] = AdminContext(config)
    app[WORKERS] = SocketWorkers(()) if workers is None else workers
    app[metrics.GATE] = metrics.Gate(ring, is_open=open_metrics)
    app[upstreams.LATELY] = Lately()
    app.add_routes(TABLE)
    app.router.add_get("/healthz", _health)
    if all(importlib.util.find_spec(each) for each in _OF_THE_VIEW):
        from proxy.admin.page import doors, mount  # noqa: PLC0415 - these packages may be missing

        mount.mount(app, admin)
        app[_FAILURE] = doors.failure
        app[_OPENS] = doors.opens
    else:
        _log.warning(_MISSING, extra=notice(Event.PAGES_NOT_SERVED))
        app.router.add_get("/", _say_what_is_missing, name=_ROOT)
    # Where an application has mounted this one, without the slash; where none has, it is "/" again: the last one.
    app.router.add_get("", _add_slash)
    app.cleanup_ctx.append(_close)
    if config.store is not None:
        app.cleanup_ctx.append(_look_for_breaks)
    app.cleanup_ctx.append(upstreams.keep_times)
    app.cleanup_ctx.append(rounds.running)
    app.cleanup_ctx.append(traces.running)
    return app


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _say_what_is_missing(_: web.Request) -> web.Response:
    return web.Response(text=_MISSING + "\n", status=_UNAVAILABLE)


async def _add_slash(request: web.Request) -> web.Response:
    raise web.HTTPSeeOther(request.app.router[_ROOT].url_for())


async def _close(app: web.Application) -> AsyncIterator[None]:
    yield
    app[CONTEXT].close()
    await app[WORKERS].close()


async def _look_for_breaks(app: web.Application) -> AsyncIterator[None]:
    looking = asyncio.create_task(breaks.run(app[CONTEXT], app[WORKERS]))
    yield
    looking.cancel()


@web.middleware
async def _shape_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in the API's shape or as a page, and name every response."""
    request_id = new_id()
    try:
        response = await handler(request)
    except (ProxyError, web.HTTPException) as error:
        response = await _refusal(request, error, request_id)
    except Exception as error:  # noqa: BLE001 - the last resort: answered in the API's shape
        response = await _refusal(request, _defect(request, error, request_id), request_id)
    if "Cache-Control" in response.headers:
        response.headers.update({**HEADERS, "Cache-Control": response.headers["Cache-Control"]})
    else:
        response.headers.update(HEADERS)
    response.headers[errors.REQUEST_ID] = request_id
    response.headers[errors.SERVER] = errors.SERVER_NAME
    return response


def _defect(request: web.Request, error: Exception, request_id: str) -> ProxyError:
    """Return what a request is refused with that nobody refused; log it, unless it is its client's doing."""
    if isinstance(error, BROKEN_BY_CLIENT):
        return InvalidRequest("body: not in the encoding, or the chunks, that its head names")
    # A client that leaves in the midst of its body is no defect either, and reads no answer.
    if not isinstance(error, OSError) or request.transport is not None:
        path = request.rel_url.raw_path[:MAX_PATH_CHARS]
        line = "%s %s %s: a defect"
        _log.error(line, request_id, request.method, path, exc_info=error)
    return InternalError("internal error of the admin API")


async def _refusal(
    request: web.Request, error: ProxyError | web.HTTPException, request_id: str
) -> web.StreamResponse:
    if isinstance(error, web.HTTPRedirection):
        return web.Response(status=error.status, headers={"Location": error.headers["Location"]})
    error = to_proxy_error(request, error)
    page, path = request.app.get(_FAILURE), request.rel_url.raw_path
    is_for_programs = _path(request).startswith(_FOR_PROGRAMS) or path.endswith(_FORMS_FOR_PROGRAMS)
    if page is not None and not is_for_programs:
        return await page(request, error, request_id)
    headers, body = errors.render(error, request_id)
    return web.Response(status=error.status, headers=headers, body=body)


def _path(request: web.Request) -> str:
    """Return the path, that of the route when there is one, below where an application has mounted this one."""
    resource = request.match_info.route.resource
    path = request.rel_url.raw_path if resource is None else resource.canonical
    base = str(request.app.router[_ROOT].url_for())
    return path if base == "/" else path.removeprefix(base.rstrip("/"))
