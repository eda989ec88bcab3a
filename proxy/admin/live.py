"""The admin API's report of the requests in flight: what each worker has, put together."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from proxy.admin import hidden
from proxy.admin.context import CONTEXT, json, now_ms
from proxy.admin.paging import refuse_unknown
from proxy.admin.shown import shown_time
from proxy.admin.state import WORKERS
from proxy.admin.workers import Answer, Workers
from proxy.errors import WorkerUnavailable
from proxy.server.live import MAX_ROWS, PHASES, doing


async def live(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/live`: the requests in flight, those that have waited longest first."""
    refuse_unknown(request.query, "key", "upstream")
    query = request.query
    return json(
        await report(
            request.app[WORKERS],
            query.get("key"),
            query.get("upstream"),
            shows_sessions=request.app[CONTEXT].shows_sessions,
        )
    )


async def report(
    workers: Workers,
    key: str | None = None,
    upstream: str | None = None,
    *,
    shows_sessions: bool,
    limit: int = MAX_ROWS,
) -> dict[str, Any]:
    """Return what `GET /admin/v1/live` tells.

    Args:
        workers: that are asked.
        key: of it alone; None: of all.
        upstream: likewise.
        shows_sessions: whether it has sessions and agents.
        limit: how many of the requests it has at most.

    Raises:
        WorkerUnavailable: none of them answers.
    """
    answers = await workers.live(key, upstream, limit)
    if answers and all(each is None for each in answers):
        raise WorkerUnavailable("no worker of this machine answers")
    told = merged(answers, limit)
    if not shows_sessions:
        told["data"] = list(map(hidden.without, told["data"]))
    return {"type": "live", "at": shown_time(now_ms()), **told}


def merged(answers: Sequence[Answer | None], limit: int = MAX_ROWS) -> dict[str, Any]:
    """Put together what the workers have in flight.

    Args:
        answers: of each `proxy.server.live.Live`, as builtins; None: one does not answer.
        limit: how many requests at most.
    """
    told = [each[1] for each in answers if each is not None]
    rows = [
        {"type": "request_in_flight", "doing": doing(row), "worker": worker, **row}
        for worker, each in enumerate(answers)
        if each is not None
        for row in each[1]["data"]
    ]
    rows.sort(key=lambda row: -row["waiting_ms"])
    in_flight = sum(each["in_flight"] for each in told)
    data = rows[:limit]
    return {
        "in_flight": in_flight,
        "phases": {phase: sum(each["phases"][phase] for each in told) for phase in PHASES},
        "data": data,
        "has_more": in_flight > len(data),
        "workers": len(answers),
        "workers_silent": answers.count(None),
    }
