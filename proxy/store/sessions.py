"""Sessions of Claude Code, summed from the requests that name them; and the requests of one of them.

Every question takes a scope: whoever may see one key's requests only asks with that key, and finds nothing else.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.bounded import ANSWERED_WITHIN_S, bounded
from proxy.store.scope import REQUESTS, Scope, total, within
from proxy.store.tables import CACHE_BREAK, REQUEST

MAX_ROWS = 5_000
_TOKENS = (
    *("input_tokens", "output_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
)
_AT_ONCE = 500
_R = REQUEST.c
_B = CACHE_BREAK.c

Order = Literal["cost", "agents", "breaks", "recent"]
ORDERS: tuple[Order, ...] = ("cost", "agents", "breaks", "recent")


class Session(msgspec.Struct, frozen=True):
    """A session, or what of it falls into a scope.

    Attributes:
        id: as the client says.
        key: one of its keys. `keys`: how many it has.
        owner, client, tag: of it; the greatest where it has several.
        model: of its main agent, of those the greatest; of its subagents, if they are all there is.
        first_ms, last_ms: when its first request came, and when its last one ended.
        requests: how many. `agents`: how many subagents made some.
        cost_micros: of all. `agents_micros`: of the subagents' among it. `estimated_micros`: not as reported.
        input_tokens: neither written nor read.
        breaks, breaks_micros: of the cache: how many, and what they cost.
    """

    id: str
    key: str
    keys: int
    owner: str | None
    client: str | None
    tag: str | None
    model: str | None
    first_ms: int
    last_ms: int
    requests: int
    agents: int
    cost_micros: int
    agents_micros: int
    estimated_micros: int
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    breaks: int
    breaks_micros: int


class Break(msgspec.Struct, frozen=True):
    """A request that wrote anew what had been in the cache; as `ledger.cache_breaks` finds it."""

    request_id: str
    at_ms: int
    reason: str
    missed: int
    cost_micros: int
    gap_ms: int


def sessions(
    engine: sa.Engine,
    scope: Scope,
    *,
    order: Order = "cost",
    limit: int,
    offset: int = 0,
    within_s: float = ANSWERED_WITHIN_S,
) -> list[Session]:
    """Return sessions with requests in a scope, of which it counts those alone.

    Args:
        engine: of the store.
        scope: which requests; it should have a `since_ms`, since all before are read.
        order: by which number, the greatest first; `recent`: the last one to end first; `breaks`: those with any.
        limit: how many at most.
        offset: how many to leave out before.
        within_s: how long each of its two questions may take.
    """
    ids = _ordered(scope, order).limit(limit).offset(offset)
    with bounded(engine, within_s) as connection:
        found = connection.scalars(ids).all()
        summed = connection.execute(_sums_of(scope, found)).all() if found else ()
    by_id = {each[0]: Session(*each) for each in summed}
    return [by_id[each] for each in found]


def session(engine: sa.Engine, scope: Scope, session_id: str) -> Session | None:
    """Return one session; None: it has no requests in the scope."""
    with bounded(engine) as connection:
        found = connection.execute(_sums_of(scope, [session_id])).first()
    return None if found is None else Session(*found)


def _ordered(scope: Scope, order: Order) -> sa.Select[Any]:
    """Select the ids of sessions; only those on a page are then summed in full, which takes ten times as long."""
    by: dict[Order, sa.ColumnElement[Any]] = {
        "cost": total(_R.cost_micros),
        "agents": sa.func.count(_R.agent_id.distinct()),
        "breaks": total(_B.cost_micros),
        "recent": sa.func.max(_R.at_ms + sa.func.coalesce(_R.total_ms, 0)),
    }
    # SQLite would rather go through all sessions there are, by their index, than through the requests of a time.
    name = sa.func.coalesce(_R.session_id, sa.literal_column("''"))
    query = sa.select(name).where(name != sa.literal_column("''"))
    if order == "breaks":
        # The times are those of the requests; asked of both, PostgreSQL goes through all requests of the time.
        of_breaks = REQUESTS._replace(when=_B.at_ms)
        query = query.select_from(REQUEST.join(CACHE_BREAK, _B.request_id == _R.id))
        query = query.where(*within(scope, of_breaks))
    else:
        query = query.where(*within(scope))
    return query.group_by(name).order_by(by[order].desc(), name)


def _sums_of(scope: Scope, ids: Sequence[str]) -> sa.Select[Any]:
    return (
        sa.select(*(column.label(name) for name, column in _summed().items()))
        .select_from(REQUEST.outerjoin(CACHE_BREAK, _B.request_id == _R.id))
        .where(*within(scope), _R.session_id.in_(ids))
        .group_by(_R.session_id)
    )


def session_rows(engine: sa.Engine, scope: Scope, session_id: str) -> list[Row]:
    """Return the requests of a session in a scope, the oldest first, `MAX_ROWS` at most."""
    query = (
        sa.select(REQUEST)
        .where(*within(scope), _R.session_id == session_id)
        .order_by(_R.at_ms, _R.id)
        .limit(MAX_ROWS)
    )
    with bounded(engine) as connection:
        return [Row(*each) for each in connection.execute(query)]


class Agent(NamedTuple):
    """The requests of an agent as one: the first of them, with the sums of all, and how many broke the cache."""

    row: Row
    breaks: int
    breaks_micros: int


def session_agents(engine: sa.Engine, scope: Scope, session_id: str) -> list[Agent]:
    """Return the requests of a session summed by agent, for one that has more than `MAX_ROWS`.

    Rows are the first of their agents', and have the sums of all: tokens, cost and `requests`.
    """
    summed = {
        **{name: sa.func.min(_R[name]) for name in ("id", "at_ms", "key", "endpoint")},
        **{name: sa.func.max(_R[name]) for name in ("owner", "agent_type", "client", "tag")},
        **{name: _R[name] for name in ("agent_id", "parent_agent_id")},
        **{name: total(_R[name]) for name in ("requests", "cost_micros", *_TOKENS)},
    }
    query = (
        sa.select(
            sa.func.count(_B.request_id),
            total(_B.cost_micros),
            *(column.label(name) for name, column in summed.items()),
        )
        .select_from(REQUEST.outerjoin(CACHE_BREAK, _B.request_id == _R.id))
        .where(*within(scope), _R.session_id == session_id)
        .group_by(_R.agent_id, _R.parent_agent_id)
        .order_by(summed["at_ms"], summed["id"])
        .limit(MAX_ROWS)
    )
    with bounded(engine) as connection:
        return [
            Agent(Row(**dict(zip(summed, row, strict=True)), session_id=session_id), breaks, micros)
            for breaks, micros, *row in connection.execute(query)
        ]


def breaks_of(engine: sa.Engine, scope: Scope, ids: Sequence[str]) -> dict[str, Break]:
    """Return the breaks among requests, by their ids."""
    found: dict[str, Break] = {}
    with bounded(engine) as connection:
        for start in range(0, len(ids), _AT_ONCE):
            query = (
                sa.select(CACHE_BREAK)
                .join(REQUEST, _R.id == _B.request_id)
                .where(*within(scope), _B.request_id.in_(ids[start : start + _AT_ONCE]))
            )
            found |= {each.request_id: Break(*each) for each in connection.execute(query)}
    return found


def _summed() -> dict[str, sa.ColumnElement[Any]]:
    is_agents = _R.agent_id.is_not(None)
    is_estimated = _R.usage_source.in_(("partial", "estimated"))
    written = sa.func.coalesce(_R.cache_write_5m_tokens, 0) + sa.func.coalesce(
        _R.cache_write_1h_tokens, 0
    )
    return {
        "id": _R.session_id,
        "key": sa.func.max(_R.key),
        "keys": sa.func.count(_R.key.distinct()),
        **{name: sa.func.max(_R[name]) for name in ("owner", "client", "tag")},
        "model": sa.func.coalesce(
            sa.func.max(sa.case((sa.not_(is_agents), _R.served_model))),
            sa.func.max(_R.served_model),
        ),
        "first_ms": sa.func.min(_R.at_ms),
        "last_ms": sa.func.max(_R.at_ms + sa.func.coalesce(_R.total_ms, 0)),
        "requests": total(_R.requests),
        "agents": sa.func.count(_R.agent_id.distinct()),
        "cost_micros": total(_R.cost_micros),
        "agents_micros": total(sa.case((is_agents, _R.cost_micros), else_=0)),
        "estimated_micros": total(sa.case((is_estimated, _R.cost_micros), else_=0)),
        "input_tokens": total(_R.input_tokens),
        "output_tokens": total(_R.output_tokens),
        "cache_write_tokens": total(written),
        "cache_read_tokens": total(_R.cache_read_tokens),
        "breaks": sa.func.count(_B.request_id),
        "breaks_micros": total(_B.cost_micros),
    }
