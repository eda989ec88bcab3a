"""The tree of a session: each request in one place, and sums that are those of the requests, whatever clients say."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.admin.tree import Node, Sums, flat, tree
from tests.store.rows import row

NAMES = st.sampled_from((None, "a", "b", "c", "d"))
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "at_ms": st.integers(0, 20),
            "prompt_id": st.sampled_from((None, "p1", "p2")),
            "agent_id": NAMES,
            "parent_agent_id": NAMES,
            "agent_type": st.sampled_from((None, "Explore", "Plan")),
            "cost_micros": st.integers(0, 10**9),
            "cache_read_tokens": st.one_of(st.none(), st.integers(0, 10**6)),
            "requests": st.integers(1, 3),
        }
    ),
    max_size=40,
)


def _nodes(top: list[Node]) -> list[Node]:
    found: list[Node] = []
    flat(top, lambda node, _: found.append(node))
    return found


def _total(nodes: list[Sums]) -> Sums:
    total = Sums()
    for each in nodes:
        total = total.plus(each)
    return total


@settings(max_examples=200)
@given(REQUESTS, st.sets(st.integers(0, 39)))
def test_each_request_stands_in_one_place_and_the_sums_are_theirs(
    fields: list[dict[str, Any]], broken: set[int]
) -> None:
    rows = [row(n, **each) for n, each in enumerate(fields)]
    breaks = {rows[n].id: (1, rows[n].cost_micros // 2) for n in broken if n < len(rows)}
    top = tree(rows, breaks)
    nodes = _nodes(top)
    placed = [each.id for node in nodes for each in node.rows]
    assert sorted(placed) == sorted(each.id for each in rows)
    whole = _total([node.below for node in top])
    assert whole == _total([node.own for node in nodes])
    assert whole.cost_micros == sum(each.cost_micros for each in rows)
    assert whole.requests == sum(each.requests for each in rows)
    assert whole.cache_read_tokens == sum(each.cache_read_tokens or 0 for each in rows)
    assert (whole.breaks, whole.breaks_micros) == (
        len(breaks),
        sum(micros for _, micros in breaks.values()),
    )
    for node in nodes:
        assert node.below == _total([node.own, *(each.below for each in node.nodes)])


def _shape(nodes: list[Node]) -> list[Any]:
    return [(node.kind, node.name, _shape(node.nodes)) for node in nodes]


def test_an_agent_stands_below_its_prompt_and_its_own_agent_below_it() -> None:
    rows = [
        row(1, prompt_id="p1", cost_micros=1),
        row(2, prompt_id="p1", agent_id="a", agent_type="general-purpose", cost_micros=10),
        row(3, prompt_id="p1", agent_id="b", parent_agent_id="a", cost_micros=100),
        row(4, prompt_id="p2", cost_micros=1000),
    ]
    top = tree(rows, {})
    nested: list[Any] = [("agent", "a", [("agent", "b", [])])]
    assert _shape(top) == [("prompt", "p1", nested), ("prompt", "p2", [])]
    assert (top[0].own.cost_micros, top[0].below.cost_micros) == (1, 111)
    assert top[0].nodes[0].below.cost_micros == 110


def test_a_fan_out_is_one_line_with_its_cheapest_and_its_dearest() -> None:
    rows = [row(0, prompt_id="p"), row(9, prompt_id="p", agent_id="z", agent_type="Plan")] + [
        row(n, prompt_id="p", agent_id=f"a{n}", agent_type="Explore", cost_micros=n)
        for n in range(1, 5)
    ]
    (prompt,) = tree(rows, {})
    several, single = prompt.nodes
    assert (several.kind, several.name, len(several.nodes)) == ("agents", "Explore", 4)
    assert (several.least_micros, several.most_micros) == (1, 4)
    assert (several.own, several.below.cost_micros) == (Sums(), 10)
    assert (single.kind, single.name) == ("agent", "z")


def test_orphans_and_circles_stand_below_their_prompt() -> None:
    rows = [
        row(1, prompt_id="p", agent_id="orphan", parent_agent_id="nobody"),
        row(2, prompt_id="p", agent_id="a", parent_agent_id="b"),
        row(3, prompt_id="p", agent_id="b", parent_agent_id="a"),
        row(4, prompt_id="p", agent_id="own", parent_agent_id="own"),
    ]
    (prompt,) = tree(rows, {})
    assert prompt.rows == []
    names = {node.name for node in _nodes([prompt])}
    assert names == {"p", "orphan", "a", "b", "own"}


def test_without_hints_the_tree_is_session_and_agents() -> None:
    (top,) = tree([row(1), row(2, agent_id="a"), row(3, agent_id="b")], {})
    assert _shape([top]) == [("prompt", "", [("agent", "a", []), ("agent", "b", [])])]


def test_agents_that_are_nested_too_deep_stand_below_their_prompt() -> None:
    rows = [row(0)] + [
        row(n, agent_id=f"a{n}", parent_agent_id=f"a{n - 1}" if n > 1 else None)
        for n in range(1, 3000)
    ]
    (top,) = tree(rows, {})
    assert top.below.requests == 3000
    depths: list[int] = []
    flat([top], lambda _, depth: depths.append(depth))
    assert max(depths) < 100
