"""Sends traces: every two seconds spans of the requests that have ended since, each request once.

The ledger is the queue: what waits here is a batch of rows at the most. A batch belongs to whoever has taken it, of
several machines to one, also when its process ends before it is sent: those requests are in no trace, none is in two.
While nobody takes spans, nothing else is taken from the ledger, and later what ended in the last ten minutes alone.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa
from aiohttp import web

from proxy.admin.breaks import settled_until
from proxy.admin.context import CONTEXT, AdminContext, now_ms
from proxy.admin.state import WORKERS
from proxy.admin.workers import Workers
from proxy.config import Otel
from proxy.errors import StoreUnavailable
from proxy.ledger.row import Row
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.store import traces

if TYPE_CHECKING:
    from proxy.admin.otlp import Sender
    from proxy.admin.spans import Spans

_log = logging.getLogger("anyrouter")

_EVERY_S = 2.0
# Looking through a large ledger takes this share of the time, at most.
_SHARE = 0.2
# By then what has ended is in the store, unless it is said to wait.
_SETTLED_MS = 2_000
CATCH_UP_MS = 600_000
BATCH_ROWS = 1_000
_SPANS_AT_ONCE = 512
_FIRST_PAUSE_MS, _LAST_PAUSE_MS = 2_000, 60_000
_MISSING = "otel needs the extra otel: `pip install '.[otel]'` in a checkout"


class Traces:
    """What one process sends. The time is passed in.

    Args:
        context: has the store.
        workers: know of rows that wait for it.
        spans: makes them of rows.
        sender: takes them.
    """

    def __init__(
        self, context: AdminContext, workers: Workers, spans: "Spans", sender: "Sender"
    ) -> None:
        self._context = context
        self._workers = workers
        self._spans = spans
        self._sender = sender
        self._thread = ThreadPoolExecutor(1, "traces")
        self._rows: list[Row] = []
        # Until when all in `_rows` had ended.
        self._until_ms = 0
        self._fails_since_ms: int | None = None
        self._pause_ms = 0
        self._next_ms = 0

    async def step(self, at_ms: int) -> bool:
        """Send what has ended, or again what was not taken; return whether there may be more to send at once.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        goes_on = False
        for lane in (traces.SLOW, traces.QUICK):
            if self._rows and at_ms < self._next_ms:
                return False
            if not self._rows:
                await self._take(lane, at_ms)
            if self._rows:
                goes_on |= await self._send(at_ms)
        return goes_on

    def close(self) -> None:
        """Give up what is under way."""
        self._sender.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _take(self, lane: traces.Lane, at_ms: int) -> None:
        until_ms = await settled_until(self._workers, at_ms, _SETTLED_MS)
        before_ms = await self._context.ask(functools.partial(traces.taken_until, lane=lane))
        if before_ms is None or before_ms > at_ms + CATCH_UP_MS:
            # The first time, and after a clock that was far ahead: what has been is no news.
            await self._context.ask(
                functools.partial(traces.take, lane=lane, before_ms=before_ms, until_ms=at_ms)
            )
            return
        since_ms = max(before_ms, at_ms - CATCH_UP_MS)
        if since_ms < until_ms:
            found = functools.partial(
                _taken, lane=lane, before_ms=before_ms, since_ms=since_ms, until_ms=until_ms
            )
            self._rows, self._until_ms = await self._context.ask(found)

    async def _send(self, at_ms: int) -> bool:
        """Send what was taken, as far as it is taken there."""
        is_full = len(self._rows) >= BATCH_ROWS
        loop = asyncio.get_running_loop()
        wrong = await loop.run_in_executor(self._thread, self._send_all)
        if wrong is None:
            if self._fails_since_ms is not None:
                _log.info(
                    "spans are taken again, after %.0f s",
                    (at_ms - self._fails_since_ms) / 1000,
                    extra=notice(Event.SPANS_TAKEN),
                )
            self._fails_since_ms, self._pause_ms = None, 0
            return is_full
        if self._fails_since_ms is None:
            self._fails_since_ms = at_ms
            _log.warning("spans were not taken: %s", wrong, extra=notice(Event.SPANS_NOT_TAKEN))
        self._pause_ms = min(max(2 * self._pause_ms, _FIRST_PAUSE_MS), _LAST_PAUSE_MS)
        self._next_ms = at_ms + self._pause_ms
        if self._until_ms < at_ms - CATCH_UP_MS:
            self._rows = []
        return False

    def _send_all(self) -> str | None:
        """Send from the thread, some at once; return why some were not taken, which are kept."""
        while self._rows:
            some, spans = 0, []
            for row in self._rows:
                spans += self._spans.of(row)
                some += 1
                if len(spans) >= _SPANS_AT_ONCE:
                    break
            if spans and (wrong := self._sender.send(spans)) is not None:
                return wrong
            del self._rows[:some]
        return None


def _taken(
    engine: sa.Engine, lane: traces.Lane, before_ms: int, since_ms: int, until_ms: int
) -> tuple[list[Row], int]:
    """Return rows that nobody else has, and until when they had ended."""
    rows, until_ms = traces.ended(engine, lane, since_ms, until_ms, BATCH_ROWS)
    return (rows if traces.take(engine, lane, before_ms, until_ms) else []), until_ms


async def running(app: web.Application) -> AsyncIterator[None]:
    """Send for as long as the application runs, if that is wanted: one of its cleanup contexts.

    Raises:
        ModuleNotFoundError: the packages are not installed.
    """
    context, otel = app[CONTEXT], app[CONTEXT].config.otel
    if otel is None:
        yield
        return
    sent = _make_traces(context, app[WORKERS], otel)
    task = asyncio.create_task(_run(sent))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    sent.close()


def _make_traces(context: AdminContext, workers: Workers, otel: Otel) -> Traces:
    try:
        # Here alone, so that no process loads any of it that sends no spans.
        from proxy.admin.otlp import Sender  # noqa: PLC0415 - see above
        from proxy.admin.spans import Spans  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING) from error
    hosts = {each.name: urlsplit(each.base_url).hostname or "" for each in context.config.upstreams}
    spans = Spans(otel.sample, hosts, shows_sessions=context.shows_sessions)
    return Traces(context, workers, spans, Sender())


async def _run(sent: Traces) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began_s, goes_on = loop.time(), False
        try:
            goes_on = await sent.step(now_ms())
        except StoreUnavailable as error:
            _log.debug("traces wait for the store: %s", error)
        except Exception:  # noqa: BLE001 - the last resort: the next time may go well
            _log.exception("sending traces: a defect")
        took_s = loop.time() - began_s
        await asyncio.sleep(0 if goes_on else max(_EVERY_S, took_s / _SHARE))
