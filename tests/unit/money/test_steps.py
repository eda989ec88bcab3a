"""The sum that is shown is the sum that was charged."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.ledger.row import Row
from proxy.money import price_file
from proxy.money.bill import Facts, bill
from proxy.money.steps import steps
from proxy.progress import Progress

TABLE = price_file.load(multiplier="0.9", upstreams={"b": "1.25"})
COUNTS = st.integers(0, 2_000_000)
TOKENS = (
    *("input_tokens", "output_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
)


def _row(usage: dict[str, Any], model: str, upstream: str) -> Row:
    """Return the row of a request with a usage, as it is charged."""
    facts = Facts(
        progress=Progress.COMPLETE,
        upstream=upstream,
        upstream_model=model,
        usage=usage,
        served_model=model,
        max_tokens=1000,
    )
    charged = bill(facts, TABLE)
    return Row(
        id="req_1",
        at_ms=0,
        key="laptop",
        endpoint="messages",
        upstream=upstream,
        upstream_model=model,
        served_model=model,
        cost_micros=charged.cost_micros,
        usage_source=charged.usage_source,
        price=charged.price,
        speed=charged.speed,
        geo=charged.geo,
        service_tier=charged.service_tier,
        billed_entries=len(charged.billed),
        **structs.asdict(charged.sums),
    )


@given(
    counts=st.tuples(*[COUNTS] * 6),
    model=st.sampled_from(
        ("claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5", "something-else")
    ),
    upstream=st.sampled_from(("a", "b")),
    speed=st.sampled_from((None, "fast", "standard")),
    geo=st.sampled_from((None, "us", "eu")),
    tier=st.sampled_from((None, "batch", "priority")),
)
def test_the_lines_times_their_factors_are_what_was_charged(
    *,
    counts: tuple[int, ...],
    model: str,
    upstream: str,
    speed: str | None,
    geo: str | None,
    tier: str | None,
) -> None:
    fresh, output, short, long, read, searches = counts
    usage = {
        "input_tokens": fresh,
        "output_tokens": output,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": long,
        },
        "server_tool_use": {"web_search_requests": searches},
        "speed": speed,
        "inference_geo": geo,
        "service_tier": tier,
    }
    row = _row(usage, model, upstream)
    shown = steps(row, TABLE)
    if shown is None:
        assert not any(counts)
        return
    assert (shown.cost_micros, shown.price, shown.fault) == (row.cost_micros, row.price, "")
    nanos = Fraction(sum(line.count * line.nanos_each for line in shown.tokens))
    for _, num, den in shown.factors:
        nanos *= Fraction(num, den)
    nanos = Fraction(int(nanos))
    if shown.searches is not None:
        nanos += shown.searches.count * shown.searches.nanos_each
    assert nanos == shown.nanos
    assert (shown.nanos + 500) // 1000 == row.cost_micros
    assert all(line.nanos == line.count * line.nanos_each for line in shown.tokens)


USAGE = {"input_tokens": 1000, "output_tokens": 10, "inference_geo": "us", "speed": "fast"}


def test_each_factor_has_its_name() -> None:
    shown = steps(_row(USAGE, "claude-opus-5-5", "b"), TABLE)
    assert shown is not None
    assert [name for name, _, _ in shown.factors] == [
        "multiplier",
        "upstream b",
        "geo us",
        "fast mode",
    ]


def _changed(**fields: Any) -> Row:
    row = _row(USAGE, "claude-opus-5-5", "a")
    return Row(**{name: getattr(row, name) for name in Row.__struct_fields__} | fields)


FAULTS: dict[str, tuple[Row, str]] = {
    "prices of another day": (
        _changed(price="claude-opus-5-5@2025-01-01", cost_micros=1),
        "it was charged at claude-opus-5-5@2025-01-01, which is not the price today",
    ),
    "no price": (
        _changed(price=None, cost_micros=1),
        "the ledger has no price for it, only what it was charged",
    ),
    "another factor": (_changed(cost_micros=1), "what multiplies the price has changed since"),
    "several calls": (
        _changed(billed_entries=3, cost_micros=1),
        "it was billed as 3 calls of models, of which the ledger has the sum",
    ),
    "a refusal": (
        _changed(price="refusal@2026-11-20", cost_micros=0),
        "a refusal without output costs nothing",
    ),
}


@pytest.mark.parametrize(("row", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_sum_that_is_not_what_was_charged_says_why(row: Row, fault: str) -> None:
    shown = steps(row, TABLE)
    assert shown is not None
    assert shown.fault == fault


def test_what_used_nothing_has_no_sum() -> None:
    assert steps(_changed(**dict.fromkeys(TOKENS)), TABLE) is None
