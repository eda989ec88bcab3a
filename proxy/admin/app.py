"""The admin API as an application: its table of endpoints, and the two middlewares in front of them."""

import logging
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy import errors
from proxy.admin import keys, live, owners, state, upstreams, usage
from proxy.admin.context import ADMIN, CONTEXT, AdminContext
from proxy.admin.credentials import AdminRing
from proxy.admin.state import WORKERS
from proxy.admin.workers import OwnGateway, SocketWorkers, Workers
from proxy.config import Config
from proxy.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, ProxyError
from proxy.gateway import Gateway
from proxy.received import new_id
from proxy.trailers import close_behind_chunks

_log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 1 << 20
_READS = ("GET", "HEAD")
_MAX_PATH_CHARS = 200

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


def create_app(config: Config, workers: Workers | None = None) -> web.Application:
    """Make the application.

    Args:
        config: with `admin`; its store is opened when it is first asked something.
        workers: who counts the limits; None: nobody does.

    Raises:
        ValueError: the configuration has no `admin`.
    """
    if config.admin is None:
        raise ValueError("the configuration has no admin section")
    ring = AdminRing(config.admin.keys)

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[ADMIN] = ring.authenticate(request.headers, writes=request.method not in _READS)
        return await handler(request)

    app = web.Application(
        middlewares=[close_behind_chunks, _shape_errors, authenticate],
        client_max_size=_MAX_BODY_BYTES,
    )
    app[CONTEXT] = AdminContext(config)
    app[WORKERS] = SocketWorkers(()) if workers is None else workers
    app.add_routes(TABLE)
    app.cleanup_ctx.append(_close)
    return app


async def _close(app: web.Application) -> AsyncIterator[None]:
    yield
    app[CONTEXT].close()


@web.middleware
async def _shape_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in the API's shape, and name every response."""
    request_id = new_id()
    try:
        response = await handler(request)
    except (ProxyError, web.HTTPException) as error:
        response = _refusal(_from_http_exception(request, error), request_id)
    except Exception:  # noqa: BLE001 - the last resort: logged with its traceback, answered in the API's shape
        path = request.rel_url.raw_path[:_MAX_PATH_CHARS]
        _log.exception("%s %s %s: a defect", request_id, request.method, path)
        response = _refusal(InternalError("internal error of the admin API"), request_id)
    response.headers[errors.REQUEST_ID] = request_id
    response.headers[errors.SERVER] = errors.SERVER_NAME
    return response


def _from_http_exception(request: web.Request, error: ProxyError | web.HTTPException) -> ProxyError:
    match error:
        case ProxyError():
            return error
        case web.HTTPRequestEntityTooLarge():
            return InvalidRequest(f"body: over {_MAX_BODY_BYTES} bytes")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(error.method, sorted(error.allowed_methods))
        case web.HTTPNotFound():
            return NotFound(f"no such path: {request.rel_url.raw_path[:_MAX_PATH_CHARS]}")
    return InvalidRequest(error.reason)


def _refusal(error: ProxyError, request_id: str) -> web.Response:
    headers, body = errors.render(error, request_id)
    return web.Response(status=error.status, headers=headers, body=body)
