"""The admin API's view into the workers: limits that they count, rows that wait in them."""

import asyncio
import urllib.parse
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from proxy.admin.added import added
from proxy.admin.context import CONTEXT, json
from proxy.admin.paging import refuse_unknown
from proxy.admin.shown import shown_time
from proxy.errors import NotFound, WorkerUnavailable

_WITHIN_S = 2.0
_HTTP_OK = 200
_SUMS = ("spooled_rows", "spooled_bytes", "stored_rows", "lost_rows")


class Workers:
    """The workers of this machine, each behind its socket.

    Args:
        paths: of the sockets.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    async def ask_all(self, path: str) -> list[tuple[int, Any] | None]:
        """Return status and answer of each worker; None for one that gives none."""
        return await asyncio.gather(*(self._ask(each, path) for each in self._paths))

    @staticmethod
    async def _ask(socket_path: str, path: str) -> tuple[int, Any] | None:
        connector = aiohttp.UnixConnector(socket_path)
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://worker{path}") as response,
            ):
                return response.status, msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            return None


WORKERS = web.AppKey("workers", Workers)


async def limits(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/limits/{key|owner}/{name}` and `/admin/v1/limits/global`."""
    refuse_unknown(request.query)
    kind, name = request.match_info["kind"], request.match_info.get("name", "-")
    place = f"/limits/{kind}/{urllib.parse.quote(name, safe='')}"
    answers = await request.app[WORKERS].ask_all(place)
    known = [each for each in answers if each is not None]
    if not known:
        raise WorkerUnavailable("no worker of this machine answers")
    told = [answer for status, answer in known if status == _HTTP_OK]
    if not told:
        raise NotFound(known[0][1]["message"])
    return json({**added(told), "workers": len(answers), "workers_silent": answers.count(None)})


async def ledger(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/ledger`: whether the store takes rows, and what waits in the workers of this machine."""
    refuse_unknown(request.query)
    context = request.app[CONTEXT]
    answers = await request.app[WORKERS].ask_all("/ledger")
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
            "workers": len(answers),
            "workers_silent": answers.count(None),
        }
    )
