"""A day by hour, and what failed in a week, are told without a look at each request; and are what the requests say."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from proxy.store.migrate import ensure_current
from proxy.store.retention import sweep
from proxy.store.rows import RowStore
from proxy.store.scope import Scope
from proxy.store.tables import META, REQUEST, USAGE_HOUR
from proxy.store.usage import usage
from tests.store.rows import AT_MS, DAY_MS, opened, row

HOUR_MS = 3_600_000
BY = ("key", "hour")
FIRST = AT_MS // HOUR_MS
ROWS = [
    row(1, cost_micros=10),
    row(2, cost_micros=20, cause="upstream_cut", status=200),
    row(3, cost_micros=5, at_ms=AT_MS + HOUR_MS),
    row(4, cost_micros=7, key="phone", at_ms=AT_MS + HOUR_MS, session_id="s"),
]
DAY = Scope(since_ms=AT_MS, until_ms=AT_MS + DAY_MS)


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    """Give a store with these rows, each of which came twice."""
    with opened(store_url) as engine:
        RowStore(engine).put(ROWS[:2])
        RowStore(engine).put(ROWS)
        yield engine


def _forget_requests(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(REQUEST))


def _costs(engine: sa.Engine, scope: Scope, by: tuple[str, ...] = BY) -> list[tuple[object, int]]:
    return [(each.of, each.cost_micros) for each in usage(engine, by, scope, limit=99)]


def test_a_day_by_hour_is_told_without_its_requests(engine: sa.Engine) -> None:
    whole = usage(engine, BY, DAY, limit=99)
    assert [(each.of, each.failed, each.cost_micros) for each in whole] == [
        (("laptop", FIRST), 1, 30),
        (("laptop", FIRST + 1), 0, 5),
        (("phone", FIRST + 1), 0, 7),
    ]
    _forget_requests(engine)
    assert usage(engine, BY, DAY, limit=99) == whole
    of_phone = usage(engine, BY, DAY, limit=99, keys=["phone", "nobody"])
    assert of_phone == whole[2:]


def test_a_part_of_an_hour_and_what_hours_do_not_know_are_told_by_requests(
    engine: sa.Engine,
) -> None:
    late = Scope(since_ms=AT_MS + 2, until_ms=DAY.until_ms)
    assert _costs(engine, late, ("hour",)) == [((FIRST,), 20), ((FIRST + 1,), 12)]
    assert _costs(engine, DAY, ("hour", "session"))[-1] == ((FIRST + 1, "s"), 7)
    of_session = Scope(since_ms=AT_MS, session="s")
    assert _costs(engine, of_session, ("hour",)) == [((FIRST + 1,), 7)]


def test_hours_before_sums_were_kept_are_told_by_requests(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        whole_from = sa.update(META).where(META.c.name == "hours_from").values(value=FIRST + 1)
        connection.execute(whole_from)
        connection.execute(sa.delete(USAGE_HOUR).where(USAGE_HOUR.c.hour == FIRST))
    assert sum(cost for _, cost in _costs(engine, DAY)) == sum(each.cost_micros for each in ROWS)
    _forget_requests(engine)
    assert _costs(engine, DAY) == []
    assert _costs(engine, Scope(since_ms=AT_MS + HOUR_MS), ("hour",)) == [((FIRST + 1,), 12)]


def test_sums_of_hours_go_with_their_requests(engine: sa.Engine) -> None:
    now_ms = int(time.time() * 1000)
    RowStore(engine).put([row(9, at_ms=now_ms)])
    assert sweep(engine, now_ms, 1) == len(ROWS)
    with engine.connect() as connection:
        assert connection.scalars(sa.select(USAGE_HOUR.c.hour)).all() == [now_ms // HOUR_MS]


@pytest.mark.parametrize(
    ("which", "index"),
    [("", "request_failed_at"), ("key = 'laptop' AND ", "request_failed_key_at")],
)
def test_what_failed_is_found_among_what_failed(tmp_path: Path, which: str, index: str) -> None:
    """A week of a key may be millions of requests, of which some hundred failed."""
    with opened(f"sqlite:///{tmp_path / 'store.db'}") as engine:
        ensure_current(engine)
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT cause, COUNT(*) FROM request WHERE {which}at_ms >= 5 "
                "AND cause IS NOT NULL GROUP BY cause"
            ).all()
    assert index in str(plan)
