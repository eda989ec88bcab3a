"""The admin API's reports: sums of usage, single requests, the audit."""

import base64
import datetime
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web
from multidict import MultiMapping

from proxy.admin import hidden
from proxy.admin.context import CONTEXT, json
from proxy.admin.moments import moment
from proxy.admin.paging import page_limit, refuse_unknown, whole_number
from proxy.admin.shown import shown_group, shown_time
from proxy.errors import InvalidRequest
from proxy.ledger.row import Row
from proxy.store import usage
from proxy.store.audit import AuditEntry, entries
from proxy.store.engine import reading
from proxy.store.scope import DIMENSIONS, Scope

# The second names of both are older.
_SINCE, _UNTIL = ("since", "from"), ("until", "to")
_TIMES = (*_SINCE, *_UNTIL)
_MOST_NUMBER = 1 << 63
_FILTERS = tuple(name for name in DIMENSIONS if name not in ("day", "hour"))


async def groups(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/usage`: sums by dimension, ordered by it; `order=cost` has one page."""
    query = request.query
    refuse_unknown(query, *_TIMES, "by", "order", "limit", "after", *_FILTERS)
    by = [name for name in query.get("by", "key").split(",") if name]
    if not request.app[CONTEXT].shows_sessions:
        hidden.refuse((*by, *query))
    if unknown := [name for name in by if name not in DIMENSIONS]:
        raise InvalidRequest(f"by: no {unknown[0][:100]}; known: {', '.join(DIMENSIONS)}")
    order = query.get("order", "dimensions")
    if order not in ("dimensions", "cost"):
        raise InvalidRequest("order: must be dimensions or cost")
    kinds = [int if name in ("day", "hour") else str for name in by]
    scope, limit, after = scope_of(query), page_limit(query), _after(query, kinds)
    dearest_first = order == "cost"
    found = await request.app[CONTEXT].ask(
        lambda engine: usage.usage(
            engine,
            by,
            scope,
            limit=limit + (not dearest_first),
            after=after,
            dearest_first=dearest_first,
        )
    )
    data, has_more = found[:limit], len(found) > limit
    return json(
        {
            "data": [shown_group(by, group) for group in data],
            "has_more": has_more,
            "next": _cursor(data[-1].of) if has_more else None,
        }
    )


async def requests(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/requests`: single requests, newest first."""
    query = request.query
    refuse_unknown(query, *_TIMES, "limit", "after", *_FILTERS)
    shows_sessions = request.app[CONTEXT].shows_sessions
    if not shows_sessions:
        hidden.refuse(query)
    scope, limit, after = scope_of(query), page_limit(query), _after(query, (int, str))
    place = None if after is None else (int(after[0]), str(after[1]))
    found = await request.app[CONTEXT].ask(
        lambda engine: usage.requests(engine, scope, limit=limit + 1, after=place)
    )
    data, has_more = found[:limit], len(found) > limit
    following = _cursor((data[-1].at_ms, data[-1].id)) if has_more else None
    shown = map(_shown_row, data)
    rows = list(shown if shows_sessions else map(hidden.without, shown))
    return json({"data": rows, "has_more": has_more, "next": following})


async def audit(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/audit`: changes, newest first."""
    query = request.query
    refuse_unknown(query, "limit", "after")
    limit, before = page_limit(query), whole_number(query, "after")

    def ask(engine: Any) -> list[AuditEntry]:
        with reading(engine) as connection:
            return entries(connection, limit + 1, before)

    found = await request.app[CONTEXT].ask(ask)
    data, has_more = found[:limit], len(found) > limit
    shown = list(map(_shown_change, data))
    return json({"data": shown, "has_more": has_more, "next": data[-1].id if has_more else None})


def scope_of(query: MultiMapping[str]) -> Scope:
    """Return which requests a query means.

    Raises:
        InvalidRequest: a time in it is none.
    """
    return Scope(
        since_ms=_moment(query, *_SINCE),
        until_ms=_moment(query, *_UNTIL),
        **{name: query[name] for name in _FILTERS if name in query},
    )


def _moment(query: MultiMapping[str], *names: str) -> int | None:
    given = [name for name in names if name in query]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest(f"{given[1]}: the same as {given[0]}; give one of them")
    # A `+` of a zone comes as a space when nobody has encoded it.
    text = query[given[0]].replace(" ", "+")
    try:
        at = moment(text, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise InvalidRequest(f"{given[0]}: {error}") from None
    return int(at.timestamp() * 1000)


def _cursor(place: tuple[str | int, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _after(query: MultiMapping[str], kinds: Sequence[type]) -> list[str | int] | None:
    """Return from where on, a value of each kind; None: from the start."""
    text = query.get("after")
    if text is None:
        return None
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(text), type=list[str | int])
    except (ValueError, msgspec.DecodeError):
        place = []
    if len(place) != len(kinds) or not all(map(_is_of, place, kinds)):
        raise InvalidRequest("after: must be the `next` of a page of the same list")
    return place


def _is_of(value: str | int, kind: type) -> bool:
    # The store's numbers have 64 bits.
    return isinstance(value, kind) and (isinstance(value, str) or abs(value) < _MOST_NUMBER)


def _shown_row(row: Row) -> dict[str, Any]:
    return {"type": "request", "at": _utc(row.at_ms), **msgspec.structs.asdict(row)}


def _shown_change(entry: AuditEntry) -> dict[str, Any]:
    fields = msgspec.structs.asdict(entry)
    for part in ("before", "after"):
        fields[part] = _with_times(fields[part])
    return {"type": "audit", "at": _utc(entry.at_ms), **fields}


def _with_times(stored: Any) -> Any:
    """Return what the audit has of a key or an owner, its times as the API shows times elsewhere."""
    if not isinstance(stored, dict):
        return stored
    times = {
        name.removesuffix("_ms"): shown_time(value)
        for name, value in stored.items()
        if name.endswith("_at_ms")
    }
    return {**stored, **times}


def _utc(at_ms: int) -> str:
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
