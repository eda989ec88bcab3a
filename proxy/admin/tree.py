"""A session's money as a tree: prompts, the agents that each began, their own agents, and requests. Pure.

Clients name a request's prompt, agent and that agent's parent, all of it optional and none of it trusted: an agent
whose parent is not there stands below its prompt, and so does one of a circle, or one that is nested too deep. Whatever
they say, each request stands in one place, and the sums of the tree are those of the requests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from proxy.ledger.cache_breaks import class_of
from proxy.ledger.row import Row

_NO_PROMPT = ""
# So many agents of one kind below one node are shown as one line.
_MIN_FOLDED = 3
_MAX_DEPTH = 40
# How many cache breaks, and what they cost.
Broken = tuple[int, int]


class Sums(NamedTuple):
    """What requests come to."""

    requests: int = 0
    cost_micros: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    breaks: int = 0
    breaks_micros: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Return both together."""
        return Sums(*map(sum, zip(self, other, strict=True)))


class Node(msgspec.Struct):
    """A prompt, an agent or several alike.

    Attributes:
        kind: `prompt`, `agent`, or `agents` for several of one kind below one node.
        name: the id of a prompt or agent, '' where a client names none; of several agents, their kind.
        agent_type: of an agent, as the client says.
        at_ms: when its first request came.
        own: of its own requests. `below`: with all below it.
        rows: its own requests, in their order.
        nodes: what stands below it, in the order it began.
        least_micros, most_micros: of several, what the cheapest and the dearest cost with all below.
    """

    kind: str
    name: str
    agent_type: str | None = None
    at_ms: int = 0
    own: Sums = Sums()
    below: Sums = Sums()
    rows: list[Row] = []
    nodes: list["Node"] = []
    least_micros: int = 0
    most_micros: int = 0


def tree(rows: Iterable[Row], breaks: Mapping[str, Broken]) -> list[Node]:
    """Return the prompts of a session, in the order they began.

    Args:
        rows: requests of one session.
        breaks: how often those of them broke the cache that did, and what that cost, by their ids.
    """
    ordered = sorted(rows, key=lambda row: (row.at_ms, row.id))
    groups: dict[tuple[str, str], Node] = {}
    homes = _homes(ordered)
    parents: dict[str, str] = {}
    for row in ordered:
        agent = row.agent_id or ""
        # An agent that works for several prompts stands below the first.
        prompt = homes[agent] if agent else row.prompt_id or _NO_PROMPT
        if agent and agent not in parents:
            parents[agent] = row.parent_agent_id or ""
        node = groups.get((prompt, agent))
        if node is None:
            kind = "agent" if agent else "prompt"
            node = groups[prompt, agent] = Node(kind, agent or prompt, at_ms=row.at_ms)
        node.rows.append(row)
        node.agent_type = node.agent_type or (row.agent_type if agent else None)
        node.own = node.own.plus(_sums(row, breaks))
    return _join(groups, _without_circles(parents, homes))


def flat(
    nodes: Sequence[Node],
    visit: Callable[[Node, int], None],
    depth: int = 0,
    *,
    unfolded: bool = True,
) -> None:
    """Visit all nodes from the top down, each with its depth; of several in one their own only when unfolded."""
    for node in nodes:
        visit(node, depth)
        if unfolded or node.kind != "agents":
            flat(node.nodes, visit, depth + 1, unfolded=unfolded)


def _sums(row: Row, breaks: Mapping[str, Broken]) -> Sums:
    read = row.cache_read_tokens or 0
    written = (row.cache_write_5m_tokens or 0) + (row.cache_write_1h_tokens or 0)
    broken, broken_micros = breaks.get(row.id, (0, 0))
    return Sums(
        row.requests,
        row.cost_micros,
        (row.input_tokens or 0) + written + read,
        read,
        broken,
        broken_micros,
    )


def _homes(rows: Iterable[Row]) -> dict[str, str]:
    """Return the prompt that each agent stands below: that of its first request."""
    homes: dict[str, str] = {}
    for row in rows:
        if row.agent_id:
            homes.setdefault(row.agent_id, row.prompt_id or _NO_PROMPT)
    return homes


def _without_circles(parents: Mapping[str, str], homes: Mapping[str, str]) -> dict[str, str]:
    """Return each agent's parent where it has one that is there, of the same prompt, and not below it."""
    kept: dict[str, str] = {}
    for agent, parent in parents.items():
        if parent not in parents or homes[parent] != homes[agent]:
            continue
        above = [parent]
        while above[-1] != agent and above[-1] in kept and len(above) < _MAX_DEPTH:
            above.append(kept[above[-1]])
        if above[-1] != agent and len(above) < _MAX_DEPTH:
            kept[agent] = parent
    return kept


def _join(groups: Mapping[tuple[str, str], Node], parents: Mapping[str, str]) -> list[Node]:
    prompts: dict[str, Node] = {}
    for (prompt, agent), node in groups.items():
        if not agent:
            prompts[prompt] = node
    for (prompt, agent), node in groups.items():
        if not agent:
            continue
        if agent in parents:
            groups[prompt, parents[agent]].nodes.append(node)
        else:
            if prompt not in prompts:
                prompts[prompt] = Node("prompt", prompt, at_ms=node.at_ms)
            prompts[prompt].nodes.append(node)
    return [_sum_up(node) for node in sorted(prompts.values(), key=_began)]


def _sum_up(root: Node) -> Node:
    """Sum what is below, the deepest first."""
    order = [root]
    for node in order:
        order += node.nodes
    for node in reversed(order):
        node.nodes.sort(key=_began)
        node.below = node.own
        for each in node.nodes:
            node.below = node.below.plus(each.below)
        node.nodes = _fold(node.nodes)
    return root


def _fold(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes with those of one type in one, when they are many."""
    by_type: dict[str, list[Node]] = {}
    for node in nodes:
        by_type.setdefault(node.agent_type or "", []).append(node)
    folded: list[Node] = []
    for agent_type, alike in by_type.items():
        if not agent_type or len(alike) < _MIN_FOLDED:
            folded += alike
            continue
        costs = [node.below.cost_micros for node in alike]
        several = Node("agents", agent_type, agent_type, min(node.at_ms for node in alike))
        several.nodes, several.least_micros, several.most_micros = alike, min(costs), max(costs)
        for node in alike:
            several.below = several.below.plus(node.below)
        folded.append(several)
    return sorted(folded, key=_began)


def _began(node: Node) -> tuple[int, str]:
    return node.at_ms, node.name


def lane_of(row: Row) -> str:
    """Return the name of the lane that a request is drawn in: its agent, or the class of those without one."""
    return row.agent_id or class_of(row)
