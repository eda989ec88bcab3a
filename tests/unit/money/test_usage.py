"""What an upstream's usage bills: each token once, at what it was, whatever the upstream says."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from proxy.money.usage import Billed, Sums, read, sums, tokens_of
from tests.unit.money.usages import SHAPES, counts


@pytest.mark.parametrize(("usage", "billed"), SHAPES.values(), ids=SHAPES.keys())
def test_each_shape_of_usage_bills_its_tokens_once(
    usage: dict[str, Any] | None, billed: tuple[Billed, ...]
) -> None:
    assert tokens_of(usage) == billed


@pytest.mark.parametrize(
    ("shape", "odd"),
    [
        ("plain", ()),
        ("zeros are counts", ()),
        ("only nulls", ()),
        ("whole numbers with a point", ()),
        ("a count below nothing", ("input_tokens",)),
        ("more than anything is", ("input_tokens",)),
        ("iterations that cannot be read", ("iterations",)),
        (
            "counts of other kinds",
            (
                "input_tokens",
                "output_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
                "web_search_requests",
            ),
        ),
    ],
)
def test_a_field_that_holds_no_count_is_named(shape: str, odd: tuple[str, ...]) -> None:
    assert read(SHAPES[shape][0]).odd == odd


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("nothing", Sums()),
        ("plain", Sums(10, 3)),
        ("zeros are counts", Sums(0, 0)),
        ("output alone", Sums(None, 3)),
        ("cached, without a split", Sums(10, 3, 500, None, 9000)),
        ("a split without a total", Sums(10, 3, 200, 500)),
        ("searches", Sums(10, 3, web_searches=2)),
        ("a compaction, told in the list alone", Sums(90_010, 803)),
        ("an advisor of another model", Sums(710, 51, 10, 20, None, 1)),
        ("iterations without a split of their own", Sums(10, 3, 200, 500)),
    ],
)
def test_a_sum_is_none_only_when_nothing_reports_it(shape: str, expected: Sums) -> None:
    usage, billed = SHAPES[shape]
    assert sums(usage, billed) == expected


def test_reads_of_the_cache_count_against_no_limit_and_belong_to_the_prompt() -> None:
    billed = Billed(None, 1, 20, 300, 4000, 50_000)
    assert (billed.counted_input, billed.prompt) == (4301, 54_301)


NAMES = st.sampled_from(
    [
        *("input_tokens", "output_tokens", "cache_creation_input_tokens"),
        *("cache_read_input_tokens", "cache_creation", "server_tool_use", "iterations", "model"),
        *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "web_search_requests"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_no_usage_breaks_the_reading_nor_bills_less_than_nothing(usage: dict[str, Any]) -> None:
    billed = tokens_of(usage)
    assert all(type(count) is int and count >= 0 for each in billed for count in counts(each))
    total = [sum(counts(each)[place] for each in billed) for place in range(6)]
    for told, counted in zip(astuple(sums(usage, billed)), total, strict=True):
        assert told is None or told == counted


@given(st.dictionaries(NAMES, st.integers(0, 10**6), max_size=8), st.integers(0, 10**6))
def test_what_is_written_is_never_billed_twice_nor_forgotten(
    usage: dict[str, Any], write_1h: int
) -> None:
    usage["input_tokens"] = 0
    total = usage.setdefault("cache_creation_input_tokens", 0)
    usage["cache_creation"] = {"ephemeral_1h_input_tokens": write_1h}
    (billed,) = tokens_of({name: value for name, value in usage.items() if name != "iterations"})
    assert billed.write_1h == write_1h
    assert billed.write_5m + billed.write_1h == max(total, write_1h)
    assert math.isfinite(billed.prompt)
