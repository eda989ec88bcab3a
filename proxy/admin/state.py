"""The admin API's view into the workers: limits that they count, rows that wait in them."""

import asyncio
import urllib.parse
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from proxy.admin.context import CONTEXT, json
from proxy.admin.paging import refuse_unknown
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

    async def ask_any(self, path: str) -> tuple[int, Any]:
        """Return status and answer of the first worker that answers.

        Raises:
            WorkerUnavailable: none does.
        """
        for socket_path in self._paths:
            answer = await self._ask(socket_path, path)
            if answer is not None:
                return answer
        raise WorkerUnavailable("no worker of this machine answers")

    async def ask_all(self, path: str) -> list[Any]:
        """Return the answers of all workers; None for one that gives none."""
        answers = await asyncio.gather(*(self._ask(each, path) for each in self._paths))
        return [None if each is None else each[1] for each in answers]

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
    status, told = await request.app[WORKERS].ask_any(place)
    if status != _HTTP_OK:
        raise NotFound(told["message"])
    return json(told)


async def ledger(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/ledger`: whether the store takes rows, and what waits in the workers of this machine."""
    refuse_unknown(request.query)
    context = request.app[CONTEXT]
    told = await request.app[WORKERS].ask_all("/ledger")
    known = [each for each in told if each is not None]
    oldest = [each["oldest_ms"] for each in known if each["oldest_ms"] is not None]
    return json(
        {
            "type": "ledger",
            "configured": context.config.store is not None,
            "store_up": bool(known) and all(each["store_up"] for each in known),
            "reason": next((each["reason"] for each in known if each["reason"]), None),
            "writer": "restarting" if any(each["restarting"] for each in known) else "running",
            "oldest_ms": min(oldest, default=None),
            **{name: sum(each[name] for each in known) for name in _SUMS},
            "workers": len(told),
            "workers_silent": len(told) - len(known),
        }
    )
