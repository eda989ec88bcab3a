"""The admin API's reports of sessions: which there are, one of them as a tree, what they lost of the cache."""

import datetime
from typing import Any

import msgspec
from aiohttp import web
from multidict import MultiMapping

from proxy.admin import cache_report, hidden, session_report
from proxy.admin.context import CONTEXT, json
from proxy.admin.moments import moment
from proxy.admin.paging import page_limit, refuse_unknown, whole_number
from proxy.admin.shown import shown_time
from proxy.errors import InvalidRequest, NotFound
from proxy.store import sessions
from proxy.store.find import sessions_like
from proxy.store.scope import Scope
from proxy.store.sessions import ORDERS, Session

_FILTERS = ("key", "owner", "model", "tag", "client")


async def page(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/sessions`: sessions with requests of the last 24 hours, unless said; the dearest first."""
    _refuse_hidden(request)
    query = request.query
    refuse_unknown(query, "since", "until", "order", "limit", "after", *_FILTERS)
    limit, offset = page_limit(query), whole_number(query, "after") or 0
    order = next((each for each in ORDERS if each == query.get("order", "cost")), None)
    if order is None:
        raise InvalidRequest(f"order: must be one of {', '.join(ORDERS)}")
    scope = _scope(query, "24h", *_FILTERS)
    found = await request.app[CONTEXT].ask(
        lambda engine: sessions.sessions(engine, scope, order=order, limit=limit + 1, offset=offset)
    )
    has_more = len(found) > limit
    following = str(offset + limit) if has_more else None
    data = list(map(_shown, found[:limit]))
    return json({"data": data, "has_more": has_more, "next": following})


async def one(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/sessions/{id}`, an id or how it alone begins: its sums, its tree, its requests."""
    _refuse_hidden(request)
    refuse_unknown(request.query)
    text = request.match_info["id"]
    ids = await request.app[CONTEXT].ask(lambda engine: sessions_like(engine, Scope(), text))
    if len(ids) > 1:
        raise InvalidRequest(f"several sessions begin with {text!r}: {', '.join(ids)}")
    found = await request.app[CONTEXT].ask(
        lambda engine: (
            session_report.report(engine, Scope(), ids[0], unfolded=True) if ids else None
        )
    )
    if found is None:
        raise NotFound("no such session: it may be older than what is kept of single requests")
    return json({**msgspec.structs.asdict(found), "session": _shown(found.session)})


async def cache(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/cache`: breaks by reason, and other lifetimes; of the last 7 days unless said."""
    query = request.query
    refuse_unknown(query, "since", "until", "key", "model")
    scope = _scope(query, "7d", "key", "model")
    found = await request.app[CONTEXT].ask(lambda engine: cache_report.report(engine, scope))
    return json(
        {"type": "cache", "since": shown_time(found.since_ms), **msgspec.structs.asdict(found)}
    )


def _refuse_hidden(request: web.Request) -> None:
    if not request.app[CONTEXT].shows_sessions:
        raise NotFound(hidden.WHY)


def _scope(query: MultiMapping[str], since: str, *names: str) -> Scope:
    named: dict[str, Any] = {name: query[name] for name in names if name in query}
    until_ms = _moment("until", query["until"]) if "until" in query else None
    return Scope(since_ms=_moment("since", query.get("since", since)), until_ms=until_ms, **named)


def _moment(name: str, text: str) -> int:
    # A `+` of a zone comes as a space when nobody has encoded it.
    try:
        at = moment(text.replace(" ", "+"), datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}") from None
    return int(at.timestamp() * 1000)


def _shown(session: Session) -> dict[str, Any]:
    fields = msgspec.structs.asdict(session)
    times = {"first": shown_time(session.first_ms), "last": shown_time(session.last_ms)}
    return {"type": "session", **fields, **times}
