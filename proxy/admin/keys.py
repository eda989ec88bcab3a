"""The admin API's keys: those of the store can be changed, those of the configuration are shown."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from aiohttp import web

from proxy.access import keys as secrets
from proxy.admin import shapes, shown
from proxy.admin.context import ADMIN, CONTEXT, AdminContext, json, now_ms
from proxy.admin.paging import page_limit, refuse_unknown
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.store.keys import Keys, NameTakenError, UnknownNameError, UnknownOwnerError

_T = TypeVar("_T")
_MS = 1000


async def create(request: web.Request) -> web.Response:
    """Serve `POST /admin/v1/keys`: with that of a rotation the only response that shows a secret."""
    record = shapes.parse_key(await request.read())
    _refuse_static(request.app[CONTEXT], record.name)
    secret = secrets.new_key()
    made = await _ask(request, lambda keys: keys.create(record, secrets.digest(secret), now_ms()))
    return json({**shown.shown_key(made), "secret": secret}, status=201)


async def page(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/keys`: by name, those of the configuration among those of the store."""
    context, query = request.app[CONTEXT], request.query
    refuse_unknown(query, "limit", "after", "owner", "q")
    limit, after = page_limit(query), query.get("after", "")
    owner, text = query.get("owner"), query.get("q", "")
    entries = [
        shown.shown_static_key(key)
        for key in context.config.keys
        if key.name > after and text in key.name and owner in (None, key.owner)
    ]
    if context.engine is not None:
        found = await _ask(request, lambda keys: keys.page(limit + 1, after, owner, text))
        entries += map(shown.shown_key, found)
    entries.sort(key=lambda key: key["name"])
    data, has_more = entries[:limit], len(entries) > limit
    following = data[-1]["name"] if has_more else None
    return json({"data": data, "has_more": has_more, "next": following})


async def get(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/keys/{name}`."""
    name = request.match_info["name"]
    for key in request.app[CONTEXT].config.keys:
        if key.name == name:
            return json(shown.shown_static_key(key))
    return json(shown.shown_key(await _ask(request, lambda keys: keys.get(name))))


async def patch(request: web.Request) -> web.Response:
    """Serve `PATCH /admin/v1/keys/{name}`, a JSON merge patch: null takes a limit or a budget off."""
    name = request.match_info["name"]
    _refuse_static(request.app[CONTEXT], name)
    text = await request.read()
    changed = await _ask(
        request, lambda keys: keys.update(name, lambda key: shapes.apply_patch(key, text), now_ms())
    )
    return json(shown.shown_key(changed))


async def rotate(request: web.Request) -> web.Response:
    """Serve `POST /admin/v1/keys/{name}/rotate`: a new secret; the older ones work for `grace_s` still."""
    name = request.match_info["name"]
    _refuse_static(request.app[CONTEXT], name)
    grace_ms = shapes.parse_rotation(await request.read()).grace_s * _MS
    secret = secrets.new_key()
    changed = await _ask(
        request, lambda keys: keys.rotate(name, secrets.digest(secret), grace_ms, now_ms())
    )
    return json({**shown.shown_key(changed), "secret": secret})


async def delete(request: web.Request) -> web.Response:
    """Serve `DELETE /admin/v1/keys/{name}`: its name is not given again."""
    name = request.match_info["name"]
    _refuse_static(request.app[CONTEXT], name)
    await _ask(request, lambda keys: keys.delete(name, now_ms()))
    return json({"type": "key_deleted", "name": name})


async def _ask(request: web.Request, work: Callable[[Keys], _T]) -> _T:
    """Do something with the store's keys, as whoever asks."""
    actor, context = request[ADMIN].name, request.app[CONTEXT]
    owners = frozenset(owner.name for owner in context.config.owners)

    def asked(engine: sa.Engine) -> _T:
        return work(Keys(engine, actor, owners))

    try:
        return await context.ask(asked)
    except NameTakenError as error:
        raise Conflict(f"name: {error} is taken, or was: a name is given once") from None
    except UnknownNameError as error:
        raise NotFound(f"no such key: {error}") from None
    except UnknownOwnerError as error:
        raise InvalidRequest(f"owner: no owner is called {error}") from None


def _refuse_static(context: AdminContext, name: str) -> None:
    if any(key.name == name for key in context.config.keys):
        raise Conflict(f"key {name} is in the configuration, and is changed there")
