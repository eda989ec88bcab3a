"""`GET /metrics`: what the workers of this machine have counted, for Prometheus."""

import asyncio
import contextlib
import importlib.util
import time
from typing import Any

from aiohttp import hdrs, web

from proxy.access.keys import read_keys
from proxy.admin.added import page_of
from proxy.admin.context import CONTEXT, AdminContext
from proxy.admin.credentials import AdminRing
from proxy.admin.state import WORKERS
from proxy.admin.workers import Workers
from proxy.errors import StoreUnavailable
from proxy.ledger.cache_breaks import REASONS
from proxy.store.scope import Scope
from proxy.store.views import CacheSums, cache_sums

PATH = "/metrics"
_MAX_SUBJECTS, _SUBJECTS_AT_ONCE = 200, 50
_HTTP_OK, _UNAVAILABLE = 200, 503
_BREAKS_EVERY_S, _WITHIN_S = 60.0, 2.0
_MISSING = "/metrics needs the extra `view`: `make install` brings it, or `pip install '.[view]'` in a checkout\n"


_PASSED_ON = ("forwarded", "x-forwarded-", "x-real-ip", "via")


class Gate:
    """Who may read `/metrics`, and what the store says there.

    Args:
        ring: the credentials; each of them may.
        is_open: whether everybody may who shows none, unless a proxy passes it on.
    """

    def __init__(self, ring: AdminRing, *, is_open: bool) -> None:
        self._ring = ring
        self._is_open = is_open
        self._breaks: list[CacheSums] = []
        self._asked_s = -_BREAKS_EVERY_S

    def check(self, request: web.Request) -> None:
        """Let a request in.

        Raises:
            AdminUnauthenticated: it shows no credential, or a wrong one.
        """
        if not self._is_open or read_keys(request.headers) or _is_passed_on(request):
            self._ring.authenticate(request.headers, metrics=True)

    async def breaks(self, context: AdminContext) -> list[CacheSums]:
        """Return what was lost to cache breaks by reason, as the store last said it: a minute ago at most.

        They are found once a minute, and are sums over all days.
        """
        now_s = time.monotonic()
        if context.engine is not None and now_s - self._asked_s >= _BREAKS_EVERY_S:
            self._asked_s = now_s
            with contextlib.suppress(StoreUnavailable):
                found = await context.ask(lambda engine: cache_sums(engine, Scope()), _WITHIN_S)
                known = {each.kind: each for each in found}
                self._breaks = [known.get(each, _none_by(each)) for each in REASONS]
        return self._breaks


def _is_passed_on(request: web.Request) -> bool:
    """Return whether a proxy says that it sends the request for somebody else, who may be anywhere."""
    return any(name.lower().startswith(_PASSED_ON) for name in request.headers)


def _none_by(reason: str) -> CacheSums:
    return CacheSums(0, "", "", "", reason, 0, 0, 0)


GATE = web.AppKey("metrics_gate", Gate)


async def show(request: web.Request) -> web.Response:
    """Serve `GET /metrics`: text for Prometheus, or OpenMetrics where that is asked for."""
    request.app[GATE].check(request)
    if importlib.util.find_spec("prometheus_client") is None:
        return web.Response(status=_UNAVAILABLE, text=_MISSING)
    workers = request.app[WORKERS]
    breaks = request.app[GATE].breaks(request.app[CONTEXT])
    told, limits, lost = await asyncio.gather(workers.tallies(), _limits(workers), breaks)
    accept = request.headers.get(hdrs.ACCEPT, "")
    # Thousands of series take a tenth of a second to write: pages and the API are answered meanwhile.
    from proxy.admin.families import exposition  # noqa: PLC0415 - its package may be missing

    text, content_type = await asyncio.to_thread(exposition, told, limits, lost, accept)
    return web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})


async def _limits(workers: Workers) -> list[Any]:
    """Return what the first subjects that have a limit or a budget have left, by the workers together."""
    told: list[Any] = []
    after = ""
    # Some at a time: two hundred at once would hold a worker's event loop for several milliseconds.
    while len(told) < _MAX_SUBJECTS:
        answers = await workers.all_limits(_SUBJECTS_AT_ONCE, after)
        pages = [each[1] for each in answers if each is not None and each[0] == _HTTP_OK]
        if not pages:
            break
        page = page_of(pages, _SUBJECTS_AT_ONCE)
        told += page["data"]
        if not page["has_more"]:
            break
        after = page["next"]
    return told
