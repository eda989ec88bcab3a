"""Looks for cache breaks, every minute, among the requests that have ended since.

Several machines may look at one store: what is found of a time is stored by whoever is first. A request that comes to
the store later than that, from the spool of a machine that was cut off, is not looked at; for those of its own machine
the search waits.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Iterable

import sqlalchemy as sa

from proxy.admin.context import AdminContext, now_ms
from proxy.admin.workers import Workers
from proxy.errors import StoreUnavailable
from proxy.ledger.cache_breaks import Finding, class_of, findings
from proxy.money import price_file
from proxy.money.prices import PriceTable
from proxy.store import cache_breaks

_log = logging.getLogger(__name__)

_EVERY_S = 60.0
# By then the gateway has made the store's tables.
_FIRST_AFTER_S = 5.0
# By then what has ended is in the store, unless it is said to wait.
_SETTLED_MS = 15_000
# What is looked at in one go, an hour or so many requests: a store that is new to this has months of them.
_SLICE_MS, _SLICE_REQUESTS = 3_600_000, 1_000
# Between two, times as long as the last one took: months are not looked at in one breath, beside requests.
_REST = 3


async def run(context: AdminContext, workers: Workers) -> None:
    """Look, until cancelled."""
    await asyncio.sleep(_FIRST_AFTER_S)
    while True:
        try:
            await look(context, workers, now_ms())
        except StoreUnavailable as error:
            _log.debug("cache breaks are looked for later: %s", error)
        except Exception:  # noqa: BLE001 - the last resort: the next minute may go well
            _log.exception("the search for cache breaks: a defect")
        await asyncio.sleep(_EVERY_S)


async def look(context: AdminContext, workers: Workers, at_ms: int) -> int:
    """Look at everything that has ended some seconds before a time; return how many requests that were.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    until_ms = await settled_until(workers, at_ms, _SETTLED_MS)
    table = price_file.configured(context.config.prices)
    looked = 0
    since_ms = await context.ask(cache_breaks.looked_until)
    while since_ms is not None and since_ms < until_ms:
        began_s = time.monotonic()
        told = await context.ask(
            functools.partial(_search, table=table, since_ms=since_ms, until_ms=until_ms)
        )
        if told is None:
            break  # another machine is at it
        found, since_ms = told
        looked += found
        if found and since_ms < until_ms:
            await asyncio.sleep(_REST * (time.monotonic() - began_s))
    return looked


async def settled_until(workers: Workers, at_ms: int, within_ms: int) -> int:
    """Return before when all that has ended on this machine is in the store; 0: a worker does not tell.

    Args:
        workers: know of rows that wait for it.
        at_ms: now, in Unix milliseconds.
        within_ms: how long rows take that do not wait.
    """
    until_ms = at_ms - within_ms
    for answer in await workers.ledgers():
        if answer is None:
            return 0
        if answer[1] is not None and answer[1]["oldest_ms"] is not None:
            until_ms = min(until_ms, answer[1]["oldest_ms"])
    return until_ms


def _search(
    engine: sa.Engine, table: PriceTable, since_ms: int, until_ms: int
) -> tuple[int, int] | None:
    """Look at the first slice of what ended in a time.

    Returns:
        How many requests that were, and until when; None: somebody else was faster.
    """
    next_ms = cache_breaks.after_some(engine, since_ms, _SLICE_REQUESTS)
    if next_ms is not None:
        until_ms = min(until_ms, max(next_ms, since_ms + _SLICE_MS))
    rows = cache_breaks.ended(engine, since_ms, until_ms)
    found: list[Finding] = []
    if rows:
        new = {row.id for row in rows}
        around = cache_breaks.with_those_before(engine, rows)
        found = findings(around, table, lambda row: row.id in new)
    is_stored = cache_breaks.put(
        engine, since_ms, until_ms, breaks=_breaks(found), sums=_sums(found)
    )
    return (len(rows), until_ms) if is_stored else None


def _breaks(found: Iterable[Finding]) -> list[cache_breaks.BreakRow]:
    return [
        (each.row.id, each.row.at_ms, each.kind, each.tokens, each.cost_micros, each.gap_ms)
        for each in found
        if each.is_break
    ]


def _sums(found: Iterable[Finding]) -> list[cache_breaks.DaySum]:
    sums: dict[tuple[int, str, str, str, str], list[int]] = {}
    for each in found:
        row = each.row
        group = (row.day, row.key, row.served_model or "", class_of(row), str(each.kind))
        total = sums.setdefault(group, [0, 0, 0])
        for n, value in enumerate((row.requests, each.tokens, each.cost_micros)):
            total[n] += value
    return [(*group, *sums[group]) for group in sorted(sums)]  # type: ignore[misc]  # three sums each
