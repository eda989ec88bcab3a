"""The admin API's owners: those of the store can be changed, those of the configuration are shown."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from aiohttp import web

from proxy.admin import shapes, shown
from proxy.admin.context import ADMIN, CONTEXT, AdminContext, json, now_ms
from proxy.admin.paging import refuse_unknown
from proxy.errors import Conflict, NotFound
from proxy.store.keys import UnknownNameError
from proxy.store.owners import OwnerInUseError, Owners

_T = TypeVar("_T")


async def list_all(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/owners`."""
    refuse_unknown(request.query)
    context = request.app[CONTEXT]
    entries = [shown.shown_static_owner(owner) for owner in context.config.owners]
    if context.engine is not None:
        entries += map(shown.shown_owner, await _ask(request, Owners.all))
    return json({"data": sorted(entries, key=lambda owner: owner["name"]), "has_more": False})


async def get(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/owners/{name}`."""
    name = request.match_info["name"]
    for owner in request.app[CONTEXT].config.owners:
        if owner.name == name:
            return json(shown.shown_static_owner(owner))
    return json(shown.shown_owner(await _ask(request, lambda owners: owners.get(name))))


async def put(request: web.Request) -> web.Response:
    """Serve `PUT /admin/v1/owners/{name}`: the whole owner, with nothing of what it was before."""
    name = request.match_info["name"]
    _refuse_static(request.app[CONTEXT], name)
    record = shapes.parse_owner(name, await request.read())
    made = await _ask(request, lambda owners: owners.put(record, now_ms()))
    return json(shown.shown_owner(made))


async def delete(request: web.Request) -> web.Response:
    """Serve `DELETE /admin/v1/owners/{name}`, unless keys belong to it."""
    name = request.match_info["name"]
    _refuse_static(request.app[CONTEXT], name)
    await _ask(request, lambda owners: owners.delete(name, now_ms()))
    return json({"type": "owner_deleted", "name": name})


async def _ask(request: web.Request, work: Callable[[Owners], _T]) -> _T:
    actor = request[ADMIN].name

    def asked(engine: sa.Engine) -> _T:
        return work(Owners(engine, actor))

    try:
        return await request.app[CONTEXT].ask(asked)
    except UnknownNameError as error:
        raise NotFound(f"no such owner: {error}") from None
    except OwnerInUseError as error:
        raise Conflict(f"{error.told()}; give them another owner, or delete them, first") from None


def _refuse_static(context: AdminContext, name: str) -> None:
    if any(owner.name == name for owner in context.config.owners):
        raise Conflict(f"owner {name} is in the configuration, and is changed there")
