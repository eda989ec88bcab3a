"""What the pages ask is what the rows say, within a scope, and within a time."""

from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from proxy.admin import session_report
from proxy.store import sessions, views
from proxy.store.bounded import bounded
from proxy.store.rows import RowStore
from proxy.store.scope import Scope
from proxy.store.tables import CACHE_BREAK, CACHE_DAY
from tests.store.rows import AT_MS, DAY_MS, opened, row

HOUR_MS = 3_600_000
ALL = Scope()
MINE, OTHERS = Scope(key="laptop"), Scope(key="phone")

# Two sessions; the second one changes its key half-way.
ROWS = [
    row(1, session_id="s1", client="claude-cli/2.1.332", total_ms=500, cost_micros=10),
    row(2, session_id="s1", agent_id="a1", cost_micros=30, cache_read_tokens=5, at_ms=AT_MS + 9),
    row(3, session_id="s1", agent_id="a2", cost_micros=20, usage_source="partial"),
    row(4, session_id="s2", cost_micros=1, at_ms=AT_MS + 1000, total_ms=0),
    row(5, session_id="s2", cost_micros=2, at_ms=AT_MS + HOUR_MS, key="phone", total_ms=70),
    row(6, cost_micros=500, upstream_request_id="req_up6"),
    row(7, cost_micros=4, at_ms=AT_MS - DAY_MS, upstream_request_id="req_up6", key="phone"),
]


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    """Give a store with these rows, and two breaks."""
    with opened(store_url) as engine:
        RowStore(engine).put(ROWS)
        with engine.begin() as connection:
            broken = [(ROWS[1], "idle", 100, 7), (ROWS[4], "prefix", 50, 3)]
            connection.execute(
                sa.insert(CACHE_BREAK),
                [
                    {
                        "request_id": each.id,
                        "at_ms": each.at_ms,
                        "reason": reason,
                        "missed": missed,
                        "cost_micros": cost,
                        "gap_ms": 1,
                    }
                    for each, reason, missed, cost in broken
                ],
            )
        yield engine


def test_a_sessions_model_is_that_of_its_main_agent(store_url: str) -> None:
    rows = [
        row(1, session_id="s1", served_model="a-large", cost_micros=9),
        row(2, session_id="s1", served_model="z-small", agent_id="a1"),
        row(3, session_id="s2", served_model="z-small", agent_id="a2"),
    ]
    with opened(store_url) as engine:
        RowStore(engine).put(rows)
        found = sessions.sessions(engine, ALL, limit=9)
    assert [(each.id, each.model) for each in found] == [("s1", "a-large"), ("s2", "z-small")]


def test_sessions_are_summed_the_dearest_first(engine: sa.Engine) -> None:
    first, second = sessions.sessions(engine, ALL, limit=9)
    assert (first.id, first.cost_micros, first.agents_micros, first.agents) == ("s1", 60, 50, 2)
    assert (first.breaks, first.breaks_micros, first.estimated_micros) == (1, 7, 20)
    assert (first.first_ms, first.last_ms) == (AT_MS + 1, AT_MS + 501)
    assert (first.client, first.keys, first.requests) == ("claude-cli/2.1.332", 1, 3)
    assert (second.id, second.keys, second.cost_micros, second.breaks_micros) == ("s2", 2, 3, 3)
    assert second.last_ms == AT_MS + HOUR_MS + 70


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("cost", ["s1", "s2"]),
        ("agents", ["s1", "s2"]),
        ("breaks", ["s1", "s2"]),
        ("recent", ["s2", "s1"]),
    ],
)
def test_sessions_come_in_the_order_that_is_asked_for(
    engine: sa.Engine, order: sessions.Order, ids: list[str]
) -> None:
    assert [each.id for each in sessions.sessions(engine, ALL, order=order, limit=9)] == ids
    assert [each.id for each in sessions.sessions(engine, ALL, order=order, limit=1)] == ids[:1]
    second = sessions.sessions(engine, ALL, order=order, limit=1, offset=1)
    assert [each.id for each in second] == ids[1:]


def test_a_key_sees_its_own_part_of_a_session_and_no_other_session(engine: sa.Engine) -> None:
    assert [each.id for each in sessions.sessions(engine, OTHERS, limit=9)] == ["s2"]
    part = sessions.session(engine, OTHERS, "s2")
    assert part is not None
    assert (part.cost_micros, part.requests, part.keys) == (2, 1, 1)
    assert sessions.session(engine, OTHERS, "s1") is None
    assert sessions.session_rows(engine, OTHERS, "s1") == []
    assert sessions.session_agents(engine, OTHERS, "s1") == []
    assert sessions.session_rows(engine, OTHERS, "s2") == [ROWS[4]]
    ids = [each.id for each in ROWS]
    assert set(sessions.breaks_of(engine, OTHERS, ids)) == {ROWS[4].id}
    assert set(sessions.breaks_of(engine, ALL, ids)) == {ROWS[1].id, ROWS[4].id}


def test_the_requests_of_a_session_come_in_their_order(engine: sa.Engine) -> None:
    assert sessions.session_rows(engine, ALL, "s1") == [ROWS[0], ROWS[2], ROWS[1]]


def test_of_a_session_that_is_too_long_agents_are_summed(engine: sa.Engine) -> None:
    found = sessions.session_agents(engine, ALL, "s1")
    rows = [each.row for each in found]
    assert [(each.agent_id, each.requests, each.cost_micros) for each in rows] == [
        (None, 1, 10),
        ("a2", 1, 20),
        ("a1", 1, 30),
    ]
    assert sum(each.input_tokens or 0 for each in rows) == 30


def test_a_request_is_found_by_our_id_and_by_its_upstreams(engine: sa.Engine) -> None:
    assert views.request(engine, ALL, ROWS[0].id) == ROWS[0]
    assert views.request(engine, ALL, "req_up6") == ROWS[5]
    assert views.request(engine, OTHERS, "req_up6") == ROWS[6]
    assert views.request(engine, OTHERS, ROWS[0].id) is None
    assert views.request(engine, ALL, "nobody") is None


def test_failures_are_grouped_the_largest_first(store_url: str) -> None:
    failed = [
        row(1, cause="upstream_cut", status=200, client_retry=2),
        row(2, cause="upstream_cut", status=200, client_retry=0),
        row(3, cause="limited_requests", status=429, requests=7, upstream=None),
        row(4),
        row(5, cause="upstream_cut", status=200, key="phone"),
    ]
    with opened(store_url) as engine:
        RowStore(engine).put(failed)
        found = views.failures(engine, MINE)
        assert [
            (each.cause, each.upstream, each.status, each.requests, each.retried) for each in found
        ] == [("limited_requests", None, 429, 7, 0), ("upstream_cut", "a", 200, 2, 1)]
        assert (found[1].first_ms, found[1].last_ms) == (AT_MS + 1, AT_MS + 2)
        assert found[1].sample_id == failed[1].id


def test_percentiles_are_exact_and_of_each_upstream(store_url: str) -> None:
    rows = [row(n, first_byte_ms=n, total_ms=2 * n, upstream="a") for n in range(1, 101)]
    other = [row(101, upstream="b", cause="upstream_cut"), row(102, upstream=None)]
    with opened(store_url) as engine:
        RowStore(engine).put([*rows, *other])
        a, b = views.percentiles(engine, ALL)
        assert (a.upstream, a.requests, a.failed) == ("a", 100, 0)
        assert a.first_byte_ms == {50: 50, 95: 95, 99: 99}
        assert a.total_ms == {50: 100, 95: 190, 99: 198}
        assert (b.upstream, b.requests, b.failed, b.first_byte_ms) == ("b", 1, 1, {})
        assert views.percentiles(engine, OTHERS) == []


def test_sums_about_the_cache_are_of_the_days_and_keys_that_are_asked_for(store_url: str) -> None:
    day = AT_MS // DAY_MS
    sums = [
        views.CacheSums(day, "laptop", "opus", "main", "idle", 1, 10, 100),
        views.CacheSums(day, "laptop", "opus", "subagent", "idle", 2, 20, 200),
        views.CacheSums(day + 1, "phone", "opus", "main", "prefix", 4, 40, 400),
    ]
    with opened(store_url) as engine:
        with engine.begin() as connection:
            connection.execute(sa.insert(CACHE_DAY), list(map(msgspec.structs.asdict, sums)))
        everything = ("day", "key", "model", "request_class", "kind")
        assert views.cache_sums(engine, ALL, everything) == sums
        assert views.cache_sums(engine, OTHERS, everything) == sums[2:]
        by_kind = [(each.kind, each.requests) for each in views.cache_sums(engine, ALL)]
        assert by_kind == [("idle", 3), ("prefix", 4)]
        (one,) = views.cache_sums(engine, Scope(since_ms=AT_MS + DAY_MS), ())
        assert (one.tokens, one.cost_micros, one.kind) == (40, 400, "")
        assert views.cache_sums(engine, Scope(key="nobody"), ()) == []


def test_the_tree_of_a_session_that_is_too_long_has_all_its_breaks(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = row(8, session_id="s1", agent_id="a1", at_ms=AT_MS + 10)
    RowStore(engine).put([later])
    lost = {"at_ms": later.at_ms, "reason": "idle", "missed": 1, "cost_micros": 9, "gap_ms": 1}
    with engine.begin() as connection:
        connection.execute(sa.insert(CACHE_BREAK), {"request_id": later.id, **lost})
    whole = session_report.report(engine, ALL, "s1")
    monkeypatch.setattr(session_report, "MAX_ROWS", 4)
    cut = session_report.report(engine, ALL, "s1")
    assert whole is not None
    assert cut is not None
    assert (whole.is_cut, cut.is_cut) == (False, True)
    assert (cut.session.breaks, cut.session.breaks_micros) == (2, 16)
    assert cut.lines == whole.lines
    assert all(each.break_reason is None for each in cut.requests)


def test_a_question_that_takes_too_long_is_ended_and_the_next_one_is_answered(
    store_url: str,
) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"
    with opened(store_url) as engine:
        with bounded(engine, 0.05) as connection, pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text(endless))
        with bounded(engine) as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1


def test_no_question_can_be_asked_without_a_scope() -> None:
    """A key holder who is forgotten would see everybody's."""
    asked = (
        *(sessions.sessions, sessions.session, sessions.session_rows, sessions.session_agents),
        *(sessions.breaks_of, views.request, views.failures, views.percentiles),
        views.cache_sums,
    )
    for question in asked:
        code = question.__code__
        assert code.co_varnames[:2] == ("engine", "scope")
        assert len(question.__defaults__ or ()) <= code.co_argcount - 2
