"""The model list, as the caller's key may use it."""

import msgspec
from aiohttp import web

from proxy.api.chain import caller
from proxy.api.context import SNAPSHOT
from proxy.gateway import GATEWAY
from proxy.routing import catalog


async def list_models(request: web.Request) -> web.Response:
    """Serve `GET /v1/models`: what the caller's key may use."""
    snapshot = request[SNAPSHOT]
    listed = await request.app[GATEWAY].model_lists.current()
    entries = catalog.visible(snapshot.config.models, snapshot.router, caller(request), listed)
    return _json(catalog.page(entries, request.query))


async def get_model(request: web.Request) -> web.Response:
    """Serve `GET /v1/models/{id}`; the id's slash may come raw or as %2F."""
    model_id = request.match_info["model_id"].rstrip("/")
    route = request[SNAPSHOT].router.find_for(caller(request).models, model_id)
    listed = await request.app[GATEWAY].model_lists.current()
    return _json(catalog.describe(model_id, route, request[SNAPSHOT].router, listed))


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
