"""Cache breaks are found once, by whoever looks first, whatever comes late or fails in between."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from proxy import Admin, AdminKey, Store
from proxy.access.keys import digest
from proxy.admin import breaks
from proxy.admin.context import AdminContext
from proxy.admin.workers import Answer, SocketWorkers
from proxy.ledger.row import Row
from proxy.store import cache_breaks
from proxy.store.engine import open_engine, reading
from proxy.store.retention import sweep
from proxy.store.rows import RowStore
from proxy.store.scope import Scope
from proxy.store.sessions import breaks_of, sessions
from proxy.store.tables import CACHE_BREAK
from proxy.store.views import cache_sums
from tests.store.rows import AT_MS, row
from tests.support.gateways import config_for

MIN_MS = 60_000
NOBODY = SocketWorkers(())
OPUS = {"model": "claude-opus-5.5", "served_model": "claude-opus-5-5"}


def _row(number: int, minute: float, **fields: Any) -> Row:
    """Return a request that wrote its prompt; of one session unless said."""
    told: dict[str, Any] = {
        "at_ms": AT_MS + int(minute * MIN_MS),
        "session_id": "s",
        "total_ms": 1_000,
        "cache_write_5m_tokens": 100_000,
        "cache_read_tokens": 0,
        **OPUS,
    }
    return row(number, **told | fields)


class _Waiting(SocketWorkers):
    """A worker in which a row waits for the store; or which does not answer."""

    def __init__(self, oldest_ms: int | None, *, silent: bool = False) -> None:
        super().__init__(())
        self._answer = None if silent else (200, {"oldest_ms": oldest_ms})

    async def ledgers(self) -> list[Answer | None]:
        return [self._answer]


@pytest.fixture
async def context(store_url: str) -> AsyncIterator[AdminContext]:
    """Give what the search reads from."""
    context = AdminContext(
        config_for(
            "http://127.0.0.1:9",
            admin=Admin(keys=(AdminKey("ops", digest("ara-0123456789-0123456789-012345")),)),
            store=Store(store_url),
        )
    )
    yield context
    context.close()


def _put(context: AdminContext, *rows: Row) -> None:
    assert context.engine is not None
    RowStore(context.engine).put(rows)


def _found(context: AdminContext) -> list[tuple[str, str, int]]:
    assert context.engine is not None
    query = sa.select(CACHE_BREAK.c.request_id, CACHE_BREAK.c.reason, CACHE_BREAK.c.gap_ms)
    with reading(context.engine) as connection:
        return [tuple(each) for each in connection.execute(query.order_by(CACHE_BREAK.c.at_ms))]


async def test_what_has_ended_is_looked_at_once_with_what_was_before(context: AdminContext) -> None:
    _put(context, _row(1, 0), _row(2, 6), _row(3, 7, cache_read_tokens=100_000))
    assert await breaks.look(context, NOBODY, AT_MS + 8 * MIN_MS) == 3
    _put(context, _row(4, 14, cache_write_1h_tokens=1))
    assert await breaks.look(context, NOBODY, AT_MS + 15 * MIN_MS) == 1
    assert await breaks.look(context, NOBODY, AT_MS + 15 * MIN_MS) == 0
    assert _found(context) == [
        (_row(2, 6).id, "idle", 6 * MIN_MS),
        (_row(4, 14).id, "idle", 7 * MIN_MS),
    ]
    assert context.engine is not None
    (one,) = sessions(context.engine, Scope(), limit=9)
    by_id = breaks_of(context.engine, Scope(), [each.id for each in (_row(2, 6), _row(3, 7))])
    assert one.breaks == 2
    assert one.breaks_micros > sum(each.cost_micros for each in by_id.values()) > 0
    sums = {each.kind: each for each in cache_sums(context.engine, Scope())}
    assert (sums["idle"].requests, sums["idle"].cost_micros) == (2, one.breaks_micros)
    assert (sums["paid"].requests, sums["paid"].cost_micros) == (4, one.cost_micros)


async def test_two_machines_that_look_at_once_store_it_once(context: AdminContext) -> None:
    _put(context, _row(1, 0), _row(2, 6))
    assert context.engine is not None
    since = cache_breaks.looked_until(context.engine)
    assert since == AT_MS
    found = [(_row(2, 6).id, AT_MS, "idle", 1, 1, 1)]
    sums = [(1, "laptop", "opus", "main", "idle", 1, 1, 1)]
    until = AT_MS + 10 * MIN_MS
    stored = [
        cache_breaks.put(context.engine, since, until, breaks=found, sums=sums) for _ in range(2)
    ]
    assert stored == [True, False]
    (one,) = cache_sums(context.engine, Scope())
    assert one.requests == 1


async def test_what_still_runs_is_looked_at_when_it_has_ended(context: AdminContext) -> None:
    _put(context, _row(1, 0), _row(2, 6, total_ms=30 * MIN_MS), _row(3, 6.5, session_id="t"))
    assert await breaks.look(context, NOBODY, AT_MS + 10 * MIN_MS) == 2
    assert _found(context) == []
    assert await breaks.look(context, NOBODY, AT_MS + 40 * MIN_MS) == 1
    assert [each[0] for each in _found(context)] == [_row(2, 6).id]


async def test_what_waits_for_the_store_is_waited_for(context: AdminContext) -> None:
    _put(context, _row(1, 0), _row(3, 20))
    late = AT_MS + 30 * MIN_MS
    assert await breaks.look(context, _Waiting(AT_MS + 6 * MIN_MS), late) == 1
    _put(context, _row(2, 6))
    assert await breaks.look(context, _Waiting(None, silent=True), late) == 0
    assert await breaks.look(context, _Waiting(None), late) == 2
    assert [each[0] for each in _found(context)] == [_row(2, 6).id, _row(3, 20).id]


async def test_a_store_with_months_of_requests_is_caught_up_with(context: AdminContext) -> None:
    days = 40
    _put(context, *(_row(n, n * 24 * 60) for n in range(days)))
    assert await breaks.look(context, NOBODY, AT_MS + days * 24 * 60 * MIN_MS) == days
    assert len(_found(context)) == days - 1


async def test_an_empty_store_has_nothing_to_look_at(context: AdminContext) -> None:
    assert await breaks.look(context, NOBODY, AT_MS) == 0


async def test_the_agents_last_requests_are_enough_to_compare_with(context: AdminContext) -> None:
    """However long a session is, and whoever else is in it."""
    main = [_row(n, n / 10, cache_read_tokens=100_000) for n in range(30)]
    agents = [_row(100 + n, n / 10, agent_id="a1") for n in range(30)]
    _put(context, *main, *agents)
    await breaks.look(context, NOBODY, AT_MS + 4 * MIN_MS)
    before = len(_found(context))
    _put(context, _row(500, 10))
    assert await breaks.look(context, NOBODY, AT_MS + 12 * MIN_MS) == 1
    (new,) = _found(context)[before:]
    assert new == (_row(500, 10).id, "idle", int(7.1 * MIN_MS))


async def test_rows_that_are_kept_no_longer_take_their_breaks_along(store_url: str) -> None:
    engine = open_engine(store_url)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(CACHE_BREAK).values(
                request_id="x", at_ms=AT_MS, reason="idle", missed=1, cost_micros=1, gap_ms=1
            )
        )
    sweep(engine, AT_MS + 90 * 24 * 60 * MIN_MS, 30)
    with reading(engine) as connection:
        assert connection.execute(sa.select(CACHE_BREAK)).all() == []
    engine.dispose()


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the search rested, each time; it did not."""
    rests: list[float] = []

    async def rest(delay_s: float) -> None:
        rests.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", rest)
    return rests


async def test_between_slices_of_a_long_time_the_search_rests_longer_than_it_works(
    context: AdminContext, monkeypatch: pytest.MonkeyPatch, rests: list[float]
) -> None:
    monkeypatch.setattr(breaks, "_SLICE_REQUESTS", 1)
    _put(context, _row(1, 0), _row(2, 20), _row(3, 70), _row(4, 150))
    search, took_s = breaks._search, []

    def timed(*args: Any, **named: Any) -> Any:
        began_s = time.monotonic()
        try:
            return search(*args, **named)
        finally:
            took_s.append(time.monotonic() - began_s)

    monkeypatch.setattr(breaks, "_search", timed)
    assert await breaks.look(context, NOBODY, AT_MS + 179 * MIN_MS) == 4
    assert len(took_s) == 3  # the first hour with two requests, and one after the other
    assert len(rests) == 2
    for rest_s, worked_s in zip(rests, took_s, strict=False):
        assert rest_s >= 3 * worked_s


async def test_a_month_with_few_requests_is_looked_at_without_a_rest(
    context: AdminContext, rests: list[float]
) -> None:
    _put(context, *(_row(n, n * 8 * 60) for n in range(90)))
    assert await breaks.look(context, NOBODY, AT_MS + 31 * 24 * 60 * MIN_MS) == 90
    assert rests == []
