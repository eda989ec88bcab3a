"""The admin API's report of the upstreams: what each worker knows of them, put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from proxy.admin.context import json, now_ms
from proxy.admin.paging import refuse_unknown
from proxy.admin.shown import shown_time
from proxy.admin.state import WORKERS
from proxy.admin.times import Lately
from proxy.admin.workers import Answer
from proxy.errors import WorkerUnavailable
from proxy.upstreams.counts import Count
from proxy.upstreams.report import Account, Cooling, FailingRun, Report

_COUNTS = ("requests", "failures", "homes", "moved_away", "stood_in")


_log = logging.getLogger(__name__)
LATELY = web.AppKey("lately", Lately)
_KEEP_EVERY_S = 60.0


async def upstreams(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/upstreams`."""
    refuse_unknown(request.query)
    answers = await request.app[WORKERS].upstreams()
    data, lately = merged(told(answers), now_ms()), request.app[LATELY]
    lately.take([None if each is None else _reports(each) for each in answers])
    return json(
        {
            "data": [{**each, "times": lately.of(each["upstream"])} for each in data],
            "times": {"since": shown_time(lately.since_ms), **lately.of()},
            "workers": len(answers),
            "workers_silent": answers.count(None),
        }
    )


def told(answers: Sequence[Answer | None]) -> list[list[Report]]:
    """Return what the workers that answer say.

    Raises:
        WorkerUnavailable: none does.
    """
    known = [_reports(each) for each in answers if each is not None]
    if not known:
        raise WorkerUnavailable("no worker of this machine answers")
    return known


def _reports(answer: Answer) -> list[Report]:
    return msgspec.convert(answer[1], list[Report])


async def keep_times(app: web.Application) -> AsyncIterator[None]:
    """Note once a minute what workers have counted of times: one of the application's cleanup contexts."""

    async def keep() -> None:
        while True:
            try:
                answers = await app[WORKERS].upstreams()
                app[LATELY].take([None if each is None else _reports(each) for each in answers])
                app[LATELY].keep(now_ms())
            except Exception:  # noqa: BLE001 - logged with its traceback; the next minute may do better
                _log.exception("the times of upstreams cannot be noted: a defect")
            await asyncio.sleep(_KEEP_EVERY_S)

    keeping = asyncio.create_task(keep())
    yield
    keeping.cancel()


def merged(workers: Sequence[Sequence[Report]], at_ms: int) -> list[dict[str, Any]]:
    """Put together what several workers say of the same upstreams, each of which learns for itself.

    Args:
        workers: what each says.
        at_ms: the time, in Unix milliseconds.
    """
    by_name: dict[str, list[Report]] = {}
    for report in (report for worker in workers for report in worker):
        by_name.setdefault(report.upstream, []).append(report)
    homes = _homes(report for reports in by_name.values() for report in reports)
    return [_shown(name, reports, homes, at_ms) for name, reports in by_name.items()]


def _homes(reports: Iterable[Report]) -> dict[str | None, int]:
    """Return how many requests had their home in each pool."""
    homes: dict[str | None, int] = {}
    for share in (share for report in reports for share in report.shares):
        homes[share.pool] = homes.get(share.pool, 0) + share.count.homes
    return homes


def _shown(
    name: str, reports: Sequence[Report], homes: dict[str | None, int], at_ms: int
) -> dict[str, Any]:
    cooling = _longest(each for report in reports for each in report.cooling)
    first = cooling[0] if cooling else None
    trouble = first or _failing(reports)
    errors = [each.last_error for each in reports if each.last_error is not None]
    last_error = max(errors, key=lambda each: each.at_ms, default=None)
    accounts = [each.account for each in reports if each.account is not None]
    by_pool = _by_pool(reports)
    whole = _sum(by_pool.values())
    return {
        "type": "upstream",
        "upstream": name,
        "state": _state(reports),
        "cooling_s": None if first is None else _left_s(first, at_ms),
        "reason": None if trouble is None else trouble.why,
        "since": None if trouble is None else shown_time(trouble.since_ms),
        "cooling": [_shown_cooling(each, at_ms) for each in cooling],
        "last_error": None
        if last_error is None
        else {"reason": last_error.why, "at": shown_time(last_error.at_ms)},
        "in_flight": sum(each.in_flight for each in reports),
        **{each: getattr(whole, each) for each in _COUNTS},
        "cache": _shown_cache(whole),
        "pools": [
            _shown_share(pool, count, homes[pool])
            for pool, count in by_pool.items()
            if pool is not None
        ],
        "account": _shown_account(max(accounts, key=lambda each: each.at_ms, default=None)),
        "workers": [_shown_worker(each, at_ms) for each in reports],
    }


def _state(reports: Sequence[Report]) -> str:
    if not any(each.is_configured for each in reports):
        return "leaving"
    if any(each.cooling for each in reports):
        return "cooling"
    return "up" if _failing(reports) is None else "failing"


def _failing(reports: Iterable[Report]) -> FailingRun | None:
    """Return what an upstream fails with, since when; None: it does not, or has answered another worker since."""
    known = list(reports)
    recovered_ms = max((each.recovered_ms or 0 for each in known), default=0)
    runs = [each.failing for each in known if each.failing and each.failing.last_ms > recovered_ms]
    if not runs:
        return None
    last = max(runs, key=lambda each: each.last_ms)
    return msgspec.structs.replace(last, since_ms=min(each.since_ms for each in runs))


def _longest(cooling: Iterable[Cooling]) -> list[Cooling]:
    """Return of each model, and of all of the upstream, which comes first, what cools longest; since when it does."""
    longest: dict[str | None, Cooling] = {}
    for each in cooling:
        known = longest.setdefault(each.model, each)
        since_ms = min(known.since_ms, each.since_ms)
        longer = max(known, each, key=lambda one: one.until_ms)
        longest[each.model] = msgspec.structs.replace(longer, since_ms=since_ms)
    return sorted(longest.values(), key=lambda each: (each.model is not None, -each.until_ms))


def _by_pool(reports: Sequence[Report]) -> dict[str | None, Count]:
    pools: dict[str | None, list[Count]] = {}
    for share in (share for report in reports for share in report.shares):
        pools.setdefault(share.pool, []).append(share.count)
    return {pool: _sum(counts) for pool, counts in pools.items()}


def _sum(counts: Iterable[Count]) -> Count:
    rows = [msgspec.structs.astuple(each) for each in counts]
    return Count(*map(sum, zip(*rows, strict=True)))


def _left_s(cooling: Cooling, at_ms: int) -> float:
    return max(0, cooling.until_ms - at_ms) / 1000


def _shown_cooling(cooling: Cooling, at_ms: int) -> dict[str, Any]:
    return {
        "model": cooling.model,
        "reason": cooling.why,
        "since": shown_time(cooling.since_ms),
        "cooling_s": _left_s(cooling, at_ms),
    }


def _shown_cache(count: Count) -> dict[str, Any]:
    tokens = count.cache_read + count.cache_written + count.uncached
    return {
        "read_tokens": count.cache_read,
        "written_tokens": count.cache_written,
        "uncached_tokens": count.uncached,
        "hit_share": round(count.cache_read / tokens, 4) if tokens else None,
    }


def _shown_share(pool: str, count: Count, homes: int) -> dict[str, Any]:
    return {
        "pool": pool,
        "homes": count.homes,
        "homes_share": round(count.homes / homes, 4) if homes else None,
        "moved_away": count.moved_away,
        "stood_in": count.stood_in,
    }


def _shown_account(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    return {"at": shown_time(account.at_ms), **msgspec.to_builtins(account.kinds)}


def _shown_worker(report: Report, at_ms: int) -> dict[str, Any]:
    first = report.cooling[0] if report.cooling else None
    trouble = first or _failing([report])
    whole = _sum(each.count for each in report.shares)
    return {
        "state": _state([report]),
        "cooling_s": None if first is None else _left_s(first, at_ms),
        "reason": None if trouble is None else trouble.why,
        "in_flight": report.in_flight,
        "requests": whole.requests,
        "failures": whole.failures,
    }
