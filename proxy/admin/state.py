"""The admin API's reports of what lives in the gateway itself: limits that it counts, rows that wait in it."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from proxy.admin.added import added, page_of
from proxy.admin.context import CONTEXT, json
from proxy.admin.paging import page_limit, refuse_unknown
from proxy.admin.shown import shown_time
from proxy.admin.workers import Answer, Workers
from proxy.errors import NotFound, WorkerUnavailable

_HTTP_OK = 200
_SUMS = ("spooled_rows", "spooled_bytes", "stored_rows", "lost_rows")

WORKERS = web.AppKey("workers", Workers)


async def limits(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/limits/{key|owner}/{name}` and `/admin/v1/limits/global`."""
    refuse_unknown(request.query)
    kind, name = request.match_info["kind"], request.match_info.get("name", "-")
    answers = await request.app[WORKERS].limits(kind, name)
    return json({**added(_read_answers(answers)), **_count_workers(answers)})


async def all_limits(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/limits`: all that have a limit or a budget, by name: all together, keys, owners."""
    query = request.query
    refuse_unknown(query, "limit", "after")
    limit, after = page_limit(query), query.get("after", "")
    answers = await request.app[WORKERS].all_limits(limit, after)
    return json({**page_of(_read_answers(answers), limit), **_count_workers(answers)})


def _read_answers(answers: Sequence[Answer | None]) -> list[Any]:
    """Return what workers say.

    Raises:
        NotFound: none of them knows it.
        WorkerUnavailable: none of them answers.
    """
    known = [each for each in answers if each is not None]
    if not known:
        raise WorkerUnavailable("no worker of this machine answers")
    told = [answer for status, answer in known if status == _HTTP_OK]
    if not told:
        raise NotFound(known[0][1]["message"])
    return told


def _count_workers(answers: Sequence[Answer | None]) -> dict[str, int]:
    return {"workers": len(answers), "workers_silent": answers.count(None)}


async def ledger(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/ledger`: whether the store takes rows, and what waits in the workers of this machine."""
    refuse_unknown(request.query)
    context = request.app[CONTEXT]
    answers = await request.app[WORKERS].ledgers()
    known = [each[1] for each in answers if each is not None and each[1] is not None]
    oldest = [each["oldest_ms"] for each in known if each["oldest_ms"] is not None]
    return json(
        {
            "type": "ledger",
            "configured": context.config.store is not None,
            "store_up": bool(known) and all(each["store_up"] for each in known),
            "reason": next((each["reason"] for each in known if each["reason"]), None),
            "writer": "restarting" if any(each["restarting"] for each in known) else "running",
            "oldest_ms": min(oldest, default=None),
            "oldest_at": shown_time(min(oldest, default=None)),
            **{name: sum(each[name] for each in known) for name in _SUMS},
            **_count_workers(answers),
        }
    )
