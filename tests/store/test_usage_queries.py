"""Usage by whatever one asks for adds up to the rows; pages neither repeat nor leave out."""

import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.limits.periods import periods_at
from proxy.store.bounded import ANSWERED_WITHIN_S
from proxy.store.rows import RowStore
from proxy.store.scope import DIMENSIONS, Scope
from proxy.store.spent import spent
from proxy.store.usage import Group, requests, usage
from tests.store.rows import AT_MS, DAY_MS, opened, row

CAUSES = (
    None,
    "client_closed",
    "limited_requests",
    "upstream_cut",
    "internal",
    "spool_full",
    "draining",
)
HOUR_MS = DAY_MS // 24


def _rows() -> list[Row]:
    """Return rows of three days, with each cause, and with and without everything that can be missing."""
    varied = itertools.product(range(3), ("a", "b"), ("team", None), ("s1", None), CAUSES)
    return [
        row(
            n,
            at_ms=AT_MS + day * DAY_MS + n * 1_000,
            key=key,
            owner=owner,
            session_id=session,
            cause=cause,
            served_model=None if n % 5 == 0 else f"m{n % 2}",
            upstream=None if n % 7 == 0 else "u",
            status=(200, 429, None)[n % 3],
            requests=1 + n % 3,
            usage_source=("reported", "partial", "estimated", "none")[n % 4],
            input_tokens=None if n % 6 == 0 else n,
            cost_micros=n,
        )
        for n, (day, key, owner, session, cause) in enumerate(varied)
    ]


def _dimension(one: Row, name: str) -> str | int:
    values: dict[str, Any] = {
        "day": one.day,
        "hour": one.at_ms // HOUR_MS,
        "key": one.key,
        "owner": one.owner,
        "model": one.served_model,
        "upstream": one.upstream,
        "session": one.session_id,
        "agent": one.agent_id,
        "cause": one.cause,
        "tag": one.tag,
        "request_class": one.request_class,
        "agent_type": one.agent_type,
        "client": one.client,
    }
    value: str | int | None = values[name]
    return "" if value is None else value


def _grouped(rows: list[Row], by: tuple[str, ...]) -> list[Group]:
    groups: dict[tuple[str | int, ...], list[Row]] = {}
    for one in rows:
        groups.setdefault(tuple(_dimension(one, name) for name in by), []).append(one)
    return [
        Group(
            of=of,
            requests=sum(one.requests for one in alike),
            refused=sum(one.requests for one in alike if one.is_refused),
            failed=sum(one.requests for one in alike if one.is_failed),
            estimated=sum(one.requests for one in alike if one.is_estimated),
            input_tokens=sum(one.input_tokens or 0 for one in alike),
            output_tokens=sum(one.output_tokens or 0 for one in alike),
            cache_write_5m_tokens=0,
            cache_write_1h_tokens=0,
            cache_read_tokens=0,
            web_searches=0,
            cost_micros=sum(one.cost_micros for one in alike),
        )
        for of, alike in sorted(groups.items())
    ]


def _filled(engine: sa.Engine) -> list[Row]:
    rows = _rows()
    for start in range(0, len(rows), 100):
        RowStore(engine).put(rows[start : start + 100])
    return rows


def test_usage_by_any_dimensions_is_that_of_the_rows(store_url: str) -> None:
    with opened(store_url) as engine:
        rows = _filled(engine)
        asked = [(), *((name,) for name in DIMENSIONS), ("key", "model"), ("cause", "key", "day")]
        for by in asked:
            assert usage(engine, by, Scope(), limit=10_000) == _grouped(rows, by), by
        with pytest.raises(KeyError):
            usage(engine, ("content",), Scope(), limit=1)


def test_usage_is_of_what_was_asked_for(store_url: str) -> None:
    with opened(store_url) as engine:
        rows = _filled(engine)
        of_a = [one for one in rows if one.key == "a"]
        assert usage(engine, ("day",), Scope(key="a"), limit=99) == _grouped(of_a, ("day",))
        ownerless = [one for one in rows if one.owner is None]
        assert usage(engine, ("key",), Scope(owner=""), limit=99) == _grouped(ownerless, ("key",))
        in_session = [one for one in of_a if one.session_id == "s1"]
        assert usage(engine, (), Scope(key="a", session="s1"), limit=9) == _grouped(in_session, ())
        assert usage(engine, (), Scope(key="nobody"), limit=9) == []
        second = Scope(since_ms=AT_MS + DAY_MS, until_ms=AT_MS + 2 * DAY_MS)
        on_second = [one for one in rows if one.day == 20_001]
        for by in ((), ("key",), ("session",), ("hour",)):
            assert usage(engine, by, second, limit=99) == _grouped(on_second, by)


def test_pages_of_groups_follow_each_other(store_url: str) -> None:
    with opened(store_url) as engine:
        rows = _filled(engine)
        for by in (("day", "key", "model"), ("session", "cause")):
            whole, after = [], None
            while page := usage(engine, by, Scope(), limit=4, after=after):
                whole += page
                after = page[-1].of
            assert whole == _grouped(rows, by)


def test_the_dearest_come_first_when_asked(store_url: str) -> None:
    with opened(store_url) as engine:
        groups = _grouped(_filled(engine), ("day", "key"))
        dearest = sorted(groups, key=lambda group: (-group.cost_micros, group.of))[:3]
        assert usage(engine, ("day", "key"), Scope(), limit=3, dearest_first=True) == dearest


def test_requests_come_newest_first_in_pages(store_url: str) -> None:
    with opened(store_url) as engine:
        rows = [row(n, at_ms=AT_MS + n // 5) for n in range(33)]
        RowStore(engine).put(rows)
        whole, after = [], None
        while page := requests(engine, Scope(key="laptop"), limit=7, after=after):
            whole += page
            after = (page[-1].at_ms, page[-1].id)
        assert whole == rows[::-1]
        assert requests(engine, Scope(until_ms=AT_MS + 1), limit=99) == rows[4::-1]


@pytest.mark.parametrize(
    ("now", "of_day", "of_month"),
    [
        ("1708300800000", 0, 15),  # 2024-02-19
        ("1709251199999", 8, 15),  # the last of a leap February, to its last millisecond
        ("1709251200000", 16, 16),  # the first of March
    ],
)
def test_what_was_spent_is_that_of_the_day_and_its_month(
    store_url: str, now: str, of_day: int, of_month: int
) -> None:
    """A budget's period is the ledger's: elsewhere budgets are reset hours late, BerriAI/litellm#34896, #40978."""
    dates_ms = (1_706_745_599_999, 1_706_745_600_000, 1_707_000_000_000, 1_709_251_199_999)
    costs = (64, 1, 6, 8)
    rows = [
        row(n, at_ms=at, cost_micros=cost)
        for n, (at, cost) in enumerate(zip(dates_ms, costs, strict=True))
    ]
    with opened(store_url) as engine:
        RowStore(engine).put([*rows, row(9, at_ms=1_709_251_200_000, cost_micros=16)])
        found = spent(engine, int(now))
        assert found.of_day.get(("laptop", ""), 0) == of_day
        assert found.of_month == {("laptop", ""): of_month}
        assert (found.day, found.month) == (periods_at(int(now)).day, periods_at(int(now)).month)


def test_a_question_has_the_time_of_people_who_wait_unless_it_is_given_more() -> None:
    for question in (usage, requests):
        assert (question.__kwdefaults__ or {})["within_s"] == ANSWERED_WITHIN_S
