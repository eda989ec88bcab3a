"""Shapes of usage as upstreams report them, and what each bills."""

from typing import Any

from msgspec.structs import astuple

from proxy.money.usage import Billed


def counts(billed: Billed) -> tuple[int, ...]:
    """Return the counts of an entry, in the order of its fields."""
    _, *found = astuple(billed)
    return tuple(int(count or 0) for count in found)


ADVISOR = "claude-opus-5-5"

SHAPES: dict[str, tuple[dict[str, Any] | None, tuple[Billed, ...]]] = {
    "nothing": (None, ()),
    "an empty one": ({}, ()),
    "no tokens told": ({"service_tier": "standard"}, ()),
    "only nulls": ({"input_tokens": None, "output_tokens": None}, ()),
    "plain": ({"input_tokens": 10, "output_tokens": 3}, (Billed(None, 10, 3),)),
    "zeros are counts": ({"input_tokens": 0, "output_tokens": 0}, (Billed(),)),
    "output alone": ({"output_tokens": 3}, (Billed(output=3),)),
    "cached, without a split": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 9000,
        },
        (Billed(None, 10, 3, 500, 0, 9000),),
    ),
    "no input but the cache's": (
        {"input_tokens": 0, "output_tokens": 3, "cache_read_input_tokens": 9000},
        (Billed(None, 0, 3, 0, 0, 9000),),
    ),
    "written for an hour": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 500,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500},
        },
        (Billed(None, 10, 3, 0, 500),),
    ),
    "written for both": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
        },
        (Billed(None, 10, 3, 200, 500),),
    ),
    "server tools wrote on behind the split": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 1700,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
        },
        (Billed(None, 10, 3, 1200, 500),),
    ),
    "a total of 0 beside a split": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
        },
        (Billed(None, 10, 3, 200, 500),),
    ),
    "a split without a total": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
        },
        (Billed(None, 10, 3, 200, 500),),
    ),
    "a split of null": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 500,
            "cache_creation": None,
        },
        (Billed(None, 10, 3, 500),),
    ),
    "searches": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 9},
        },
        (Billed(None, 10, 3, web_searches=2),),
    ),
    "a long prompt": (
        {"input_tokens": 1, "output_tokens": 3, "cache_read_input_tokens": 100_000},
        (Billed(None, 1, 3, read=100_000),),
    ),
    "a prompt just short": (
        {"input_tokens": 1, "output_tokens": 3, "cache_read_input_tokens": 99_999},
        (Billed(None, 1, 3, read=99_999),),
    ),
    "one iteration": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "iterations": [{"type": "message", "input_tokens": 10, "output_tokens": 3}],
        },
        (Billed(None, 10, 3),),
    ),
    "no iterations": (
        {"input_tokens": 10, "output_tokens": 3, "iterations": []},
        (Billed(None, 10, 3),),
    ),
    "a compaction, told in the list alone": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "iterations": [
                {"type": "compaction", "input_tokens": 90_000, "output_tokens": 800},
                {"type": "message", "input_tokens": 10, "output_tokens": 3},
            ],
        },
        (Billed(None, 90_000, 800), Billed(None, 10, 3)),
    ),
    "an advisor of another model": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "server_tool_use": {"web_search_requests": 1},
            "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 1},
                {
                    "type": "advisor_message",
                    "model": ADVISOR,
                    "input_tokens": 700,
                    "output_tokens": 50,
                    "cache_creation_input_tokens": 30,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": 10,
                        "ephemeral_1h_input_tokens": 20,
                    },
                },
            ],
        },
        (Billed(None, 10, 1, web_searches=1), Billed(ADVISOR, 700, 50, 10, 20)),
    ),
    "iterations without a split of their own": (
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_creation_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
            "iterations": [
                {"input_tokens": 5, "output_tokens": 1, "cache_creation_input_tokens": 400},
                {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 300},
            ],
        },
        (Billed(None, 5, 1, 0, 400), Billed(None, 5, 2, 200, 100)),
    ),
    "iterations that cannot be read": (
        {"input_tokens": 10, "output_tokens": 3, "iterations": [{"type": "message"}]},
        (Billed(None, 10, 3),),
    ),
    "iterations that are none": (
        {"input_tokens": 10, "output_tokens": 3, "iterations": {"0": 1}},
        (Billed(None, 10, 3),),
    ),
    "a count below nothing": (
        {"input_tokens": -10, "output_tokens": 3},
        (Billed(None, 0, 3),),
    ),
    "counts of other kinds": (
        {
            "input_tokens": "10",
            "output_tokens": 3.5,
            "cache_read_input_tokens": True,
            "cache_creation_input_tokens": [1],
            "server_tool_use": {"web_search_requests": {}},
        },
        (Billed(),),
    ),
    "whole numbers with a point": (
        {"input_tokens": 10.0, "output_tokens": 3.0},
        (Billed(None, 10, 3),),
    ),
    "more than anything is": (
        {"input_tokens": 10**13, "output_tokens": 3},
        (Billed(None, 0, 3),),
    ),
    "parts of other kinds": (
        {"input_tokens": 10, "output_tokens": 3, "cache_creation": 7, "server_tool_use": "x"},
        (Billed(None, 10, 3),),
    ),
}
