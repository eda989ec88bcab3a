"""One session: its sums, its tree, its requests. For page, API and command alike."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from proxy.admin.tree import Node, flat, lane_of, tree
from proxy.ledger.row import Row
from proxy.store import sessions
from proxy.store.scope import Scope
from proxy.store.sessions import MAX_ROWS, Break, Session


class Line(msgspec.Struct, frozen=True):
    """A line of the tree.

    Attributes:
        depth: from 0. `kind`, `name`, `agent_type`: as of `tree.Node`.
        at_ms: when it began.
        agents: how many a line of several stands for; 0: it is none of several.
        own_micros, below_micros: its own requests', and with all below.
        requests, input_tokens, cache_read_tokens, breaks, breaks_micros: with all below.
        least_micros, most_micros: of several, the cheapest and the dearest.
    """

    depth: int
    kind: str
    name: str
    agent_type: str | None
    at_ms: int
    agents: int
    own_micros: int
    below_micros: int
    requests: int
    input_tokens: int
    cache_read_tokens: int
    breaks: int
    breaks_micros: int
    least_micros: int
    most_micros: int


class Asked(msgspec.Struct, frozen=True):
    """A request of the session; `lane` is its agent, or the class of one without."""

    id: str
    at_ms: int
    total_ms: int | None
    lane: str
    agent_type: str | None
    model: str | None
    upstream: str | None
    status: int | None
    cause: str | None
    is_failed: bool
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    output_tokens: int
    usage_source: str
    cost_micros: int
    break_reason: str | None
    break_micros: int | None
    gap_ms: int | None


class SessionReport(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        session: its sums.
        is_cut: whether it has more than `MAX_ROWS` requests; then each request here stands for all of an agent.
        lines: of its tree, from the top down.
        requests: the oldest first.
    """

    session: Session
    is_cut: bool
    lines: tuple[Line, ...]
    requests: tuple[Asked, ...]


def report(
    engine: sa.Engine, scope: Scope, session_id: str, *, unfolded: bool = False
) -> SessionReport | None:
    """Return what of a session falls into a scope; None: nothing does.

    Args:
        engine: of the store.
        scope: which requests.
        session_id: whose.
        unfolded: whether several agents of one kind below one are told one by one, too.
    """
    found = sessions.session(engine, scope, session_id)
    if found is None:
        return None
    rows = sessions.session_rows(engine, scope, session_id)
    is_cut = len(rows) >= MAX_ROWS
    if is_cut:
        agents = sessions.session_agents(engine, scope, session_id)
        rows = [each.row for each in agents]
        broken = {each.row.id: (each.breaks, each.breaks_micros) for each in agents}
        # A row that stands for all of an agent's is none of its breaks.
        breaks: Mapping[str, Break] = {}
    else:
        breaks = sessions.breaks_of(engine, scope, [row.id for row in rows])
        broken = {request_id: (1, each.cost_micros) for request_id, each in breaks.items()}
    lines: list[Line] = []
    flat(
        tree(rows, broken), lambda node, depth: lines.append(_line(node, depth)), unfolded=unfolded
    )
    return SessionReport(found, is_cut, tuple(lines), tuple(_asked(row, breaks) for row in rows))


def _line(node: Node, depth: int) -> Line:
    return Line(
        depth,
        node.kind,
        node.name,
        node.agent_type,
        node.at_ms,
        len(node.nodes) if node.kind == "agents" else 0,
        node.own.cost_micros,
        node.below.cost_micros,
        node.below.requests,
        node.below.input_tokens,
        node.below.cache_read_tokens,
        node.below.breaks,
        node.below.breaks_micros,
        node.least_micros,
        node.most_micros,
    )


def _asked(row: Row, breaks: Mapping[str, Break]) -> Asked:
    broken = breaks.get(row.id)
    return Asked(
        row.id,
        row.at_ms,
        row.total_ms,
        lane_of(row),
        row.agent_type,
        row.served_model or row.model,
        row.upstream,
        row.status,
        row.cause,
        row.is_failed,
        row.input_tokens or 0,
        (row.cache_write_5m_tokens or 0) + (row.cache_write_1h_tokens or 0),
        row.cache_read_tokens or 0,
        row.output_tokens or 0,
        row.usage_source,
        row.cost_micros,
        None if broken is None else broken.reason,
        None if broken is None else broken.cost_micros,
        None if broken is None else broken.gap_ms,
    )
