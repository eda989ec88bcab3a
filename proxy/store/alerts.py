"""What alerts are made of that the store knows, and who of all gateways sends each.

A row of `alert_sent` is claimed by whoever is to send it: its `at_ms` is negative until it is sent, or given up. A
claim that is older than all tries take was made by a process that is gone: it goes to the next who asks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from proxy.store.bounded import bounded
from proxy.store.engine import tried_again
from proxy.store.tables import ALERT_SENT, REQUEST

SPENDING_MS = 600_000
FAN_OUT_MS = 300_000
# A request is counted when it ends: it may have begun so long before.
_LONGEST_MS = 3_600_000
_MOST = 100
_KEPT_MS = 90 * 86_400_000
_R = REQUEST.c
_A = ALERT_SENT.c
_ENDED_MS = _R.at_ms + sa.func.coalesce(_R.total_ms, 0)


class SessionSum(NamedTuple):
    """What a session has done of late: micro-dollars spent, or agents begun; `key` is one of those it came with."""

    session_id: str
    key: str
    amount: int


def dear_sessions(engine: sa.Engine, now_ms: int, over_micros: int) -> list[SessionSum]:
    """Return the sessions whose requests that ended in the last ten minutes cost more than so much, dearest first."""
    spent = sa.cast(sa.func.sum(_R.cost_micros), sa.BigInteger)
    query = (
        sa.select(_R.session_id, sa.func.max(_R.key), spent.label("spent"))
        .where(*_ended_within(now_ms, SPENDING_MS), _R.session_id.is_not(None))
        .group_by(_R.session_id)
        .having(spent > over_micros)
        .order_by(sa.text("spent DESC"), _R.session_id)
        .limit(_MOST)
    )
    with bounded(engine) as connection:
        return [SessionSum(*each) for each in connection.execute(query)]


def fanned_out(engine: sa.Engine, now_ms: int, agents: int) -> list[SessionSum]:
    """Return the sessions of which so many agents ended their first request in the last five minutes."""
    recent = (
        sa.select(_R.session_id)
        .where(*_ended_within(now_ms, FAN_OUT_MS), _R.session_id.is_not(None))
        .group_by(_R.session_id)
        .having(sa.func.count(_R.agent_id.distinct()) >= agents)
        .limit(_MOST)
    )
    first = sa.func.min(_ENDED_MS).label("first_ms")
    begun = (
        sa.select(_R.session_id, _R.agent_id, sa.func.max(_R.key).label("key"), first)
        .where(_R.session_id.in_(recent), _R.agent_id.is_not(None))
        .group_by(_R.session_id, _R.agent_id)
        .subquery()
    )
    count = sa.func.count().label("n")
    query = (
        sa.select(begun.c.session_id, sa.func.max(begun.c.key), count)
        .where(begun.c.first_ms > now_ms - FAN_OUT_MS)
        .group_by(begun.c.session_id)
        .having(count >= agents)
        .order_by(sa.text("n DESC"), begun.c.session_id)
    )
    with bounded(engine) as connection:
        return [SessionSum(*each) for each in connection.execute(query)]


def unpriced_models(engine: sa.Engine, now_ms: int, unknown: str) -> list[tuple[str, int]]:
    """Return which models were charged as the `unknown` one in the last ten minutes, each with its requests."""
    model = sa.func.coalesce(_R.upstream_model, _R.served_model, _R.model, "").label("by_model")
    count = sa.cast(sa.func.sum(_R.requests), sa.BigInteger).label("n")
    query = (
        sa.select(model, count)
        .where(*_ended_within(now_ms, SPENDING_MS), _R.price.contains(f"{unknown}@"))
        .group_by(sa.text("by_model"))
        .order_by(sa.text("n DESC"), sa.text("by_model"))
        .limit(_MOST)
    )
    with bounded(engine) as connection:
        return [(model, requests) for model, requests in connection.execute(query)]


def is_ours(engine: sa.Engine, alert: tuple[str, str, str], now_ms: int, stale_ms: int) -> bool:
    """Claim an alert; return whether it is ours to send.

    Args:
        engine: of the store.
        alert: rule, subject, period.
        now_ms: Unix milliseconds.
        stale_ms: how old a claim may be whose maker still tries.
    """
    values = dict(zip(("rule", "subject", "period"), alert, strict=True), at_ms=-now_ms)
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(ALERT_SENT).values(values)
    claim = insert.on_conflict_do_update(
        index_elements=["rule", "subject", "period"],
        set_={"at_ms": -now_ms},
        where=_A.at_ms.between(-(now_ms - stale_ms), -1),
    )

    def take() -> bool:
        with engine.begin() as connection:
            return connection.execute(claim.returning(_A.rule)).first() is not None

    return tried_again(take)


def settle(engine: sa.Engine, alert: tuple[str, str, str], now_ms: int) -> None:
    """Note that a claimed alert was sent, or given up: nobody sends it any more; forget those of long ago."""
    rule, subject, period = alert
    done = sa.update(ALERT_SENT).where(_A.rule == rule, _A.subject == subject, _A.period == period)
    old = sa.delete(ALERT_SENT).where(sa.func.abs(_A.at_ms) < now_ms - _KEPT_MS)

    def note() -> None:
        with engine.begin() as connection:
            connection.execute(done.values(at_ms=now_ms))
            connection.execute(old)

    tried_again(note)


def sent(engine: sa.Engine, rules: Sequence[str], since_period: str) -> set[tuple[str, str, str]]:
    """Return the rule, subject and period of what was claimed or sent by some rules, of a period or a later one."""
    query = sa.select(_A.rule, _A.subject, _A.period).where(
        _A.rule.in_(rules), _A.period >= since_period
    )
    with bounded(engine) as connection:
        return {(rule, subject, period) for rule, subject, period in connection.execute(query)}


def _ended_within(now_ms: int, within_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
    since_ms = now_ms - within_ms
    return (_R.at_ms > since_ms - _LONGEST_MS, since_ms < _ENDED_MS)
