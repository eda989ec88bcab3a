"""What tokens cost: the published rates, exactly, whatever multiplies them."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.money import price_file
from proxy.money.prices import Modifiers, PriceTable
from proxy.money.usage import Billed
from tests.unit.money.usages import SHAPES, counts

# Dollars per million tokens as published: input, output, written for 5 minutes, for an hour, read.
PUBLISHED = {
    "claude-fable-5-2": "8 40 10 16 0.20",
    "claude-fable-5-1": "10 50 12.50 20 0.25",
    "claude-mythos-5-1": "10 50 12.50 20 0.25",
    "claude-fable-5": "10 50 12.50 20 1.00",
    "claude-mythos-5": "10 50 12.50 20 1.00",
    "claude-opus-5-5": "4 20 5 8 0.20",
    "claude-opus-5": "5 25 6.25 10 0.50",
    "claude-opus-4-8": "5 25 6.25 10 0.50",
    "claude-opus-4-7": "5 25 6.25 10 0.50",
    "claude-opus-4-6": "5 25 6.25 10 0.50",
    "claude-opus-4-5": "5 25 6.25 10 0.50",
    "claude-sonnet-5-5": "2 10 2.50 4 0.10",
    "claude-sonnet-5": "2 10 2.50 4 0.20",
    "claude-sonnet-4-6": "3 15 3.75 6 0.30",
    "claude-sonnet-4-5": "3 15 3.75 6 0.30",
    "claude-haiku-5-5": "0.10 0.50 0.125 0.20 0.01",
    "claude-haiku-4-5": "1 5 1.25 2 0.10",
    "unknown": "5 25 6.25 10 0.50",
}
LONG = {"claude-haiku-5-5": "0.50 2.50 0.625 1.00 0.05"}
FAST = ("claude-opus-5-5", "claude-opus-5", "claude-opus-4-8")
TABLE = price_file.load()
PLAIN = Modifiers()


class Asked(NamedTuple):
    """What multiplies a request's rates, as the operator and the usage say it."""

    speed: str | None = None
    geo: str | None = None
    tier: str | None = None
    upstream: str = "a"


def rates(model: str, billed: Billed) -> list[Fraction]:
    words = PUBLISHED[model]
    if model in LONG and billed.input + billed.write_5m + billed.write_1h + billed.read > 100_000:
        words = LONG[model]
    return [Fraction(word) / 1_000_000 for word in words.split()]


def expected_micros(model: str, billed: Billed, *factors: Fraction) -> int:
    """Reckon a cost in dollars, by fractions, and round it once."""
    used = zip(counts(billed), rates(model, billed), strict=False)
    dollars = sum((count * rate for count, rate in used), Fraction())
    for factor in factors:
        dollars *= factor
    # A nano-dollar is the smallest there is.
    nanos = dollars * 10**9 // 1 + billed.web_searches * 10**7
    return int((Fraction(nanos, 1000) + Fraction(1, 2)) // 1)


def test_every_published_row_is_there_and_no_other() -> None:
    named = {name for name, price in vars(TABLE)["_tables"][1][0].items() if price.id == name}
    assert named == PUBLISHED.keys() - {"unknown"}
    assert {name for name in named if TABLE.find(name, "").fast == (2, 1)} == set(FAST)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", PUBLISHED)
def test_every_row_prices_every_shape_as_published(model: str, shape: str) -> None:
    price = TABLE.find(model, "")
    for billed in SHAPES[shape][1]:
        assert price.cost_micros(billed, PLAIN) == expected_micros(model, billed)


def test_a_thousand_random_requests_cost_what_fractions_say() -> None:
    table = price_file.load(multiplier="1.07", upstreams={"eu": 1.1})
    chance = random.Random(20)
    for _ in range(1000):
        model = chance.choice(sorted(PUBLISHED))
        tokens = [
            chance.choice([0, chance.randrange(10), chance.randrange(10**6)]) for _ in "12345"
        ]
        billed = Billed(None, *[*tokens, chance.randrange(3)])
        speed = chance.choice(["fast", "standard", None])
        geo, tier = chance.choice(["us", "global", None]), chance.choice(["batch", "standard"])
        upstream = chance.choice(["eu", "other"])
        found = table.find(model, "").cost_micros(
            billed, table.modifiers(upstream, speed=speed, geo=geo, tier=tier)
        )
        assert found == expected_micros(
            model,
            billed,
            Fraction(2 if speed == "fast" else 1),
            Fraction("1.1") if geo == "us" else Fraction(1),
            Fraction("0.5") if tier == "batch" else Fraction(1),
            Fraction("1.1") if upstream == "eu" else Fraction(1),
            Fraction("1.07"),
        )


COUNTS = st.integers(0, 10**9)


@given(
    st.sampled_from(sorted(PUBLISHED)),
    st.builds(Billed, st.none(), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 100)),
    st.builds(Modifiers, st.integers(1, 10**6), st.integers(1, 10**6), st.booleans()),
)
def test_any_request_costs_what_fractions_say(
    model: str, billed: Billed, modifiers: Modifiers
) -> None:
    factors = (Fraction(modifiers.num, modifiers.den), Fraction(2 if modifiers.fast else 1))
    found = TABLE.find(model, "").cost_micros(billed, modifiers)
    assert found == expected_micros(model, billed, *factors)


@pytest.mark.parametrize(
    ("asked", "millionth_of_input"),
    [
        (Asked(), 4_000_000),
        (Asked(speed="standard", geo="global", tier="standard"), 4_000_000),
        (Asked(speed="fast"), 8_000_000),
        (Asked(geo="us"), 4_400_000),
        (Asked(tier="batch"), 2_000_000),
        (Asked(speed="fast", geo="us"), 8_800_000),
        (Asked(geo="mars", tier="premium", speed="slow"), 4_000_000),
        (Asked(upstream="eu"), 4_400_000),
        (Asked(upstream="eu", speed="fast", geo="us"), 9_680_000),
    ],
    ids=str,
)
def test_what_multiplies_a_price_stacks(asked: Asked, millionth_of_input: int) -> None:
    table = price_file.load(upstreams={"eu": 1.1})
    modifiers = table.modifiers(asked.upstream, speed=asked.speed, geo=asked.geo, tier=asked.tier)
    price = table.find("claude-opus-5-5", "")
    assert price.cost_micros(Billed(input=1_000_000), modifiers) == millionth_of_input


def test_searches_cost_a_cent_each_whatever_multiplies_tokens() -> None:
    modifiers = TABLE.modifiers("a", speed="fast", geo="us", tier="batch")
    for model in PUBLISHED:
        assert TABLE.find(model, "").cost_micros(Billed(web_searches=3), modifiers) == 30_000


@pytest.mark.parametrize(
    ("tokens", "micros"), [(0, 0), (1, 0), (4, 0), (5, 1), (14, 1), (15, 2), (25, 3)]
)
def test_a_cost_is_rounded_once_half_a_micro_dollar_upwards(tokens: int, micros: int) -> None:
    assert TABLE.find("claude-haiku-5-5", "").cost_micros(Billed(input=tokens), PLAIN) == micros


@pytest.mark.parametrize(
    ("served", "upstream_model", "found"),
    [
        ("claude-opus-5-5", "claude-haiku-4-5", "claude-opus-5-5"),
        (None, "claude-haiku-4-5", "claude-haiku-4-5"),
        ("", "claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "x", "claude-haiku-4-5"),
        ("anthropic/claude-haiku-4.5", "x", "claude-haiku-4-5"),
        ("claude-haiku-4-5[1m]", "x", "claude-haiku-4-5"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "x", "claude-haiku-4-5"),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "x", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "x", "claude-haiku-4-5"),
        ("anthropic/claude-4.5-haiku-20251001", "x", "claude-haiku-4-5"),
        ("claude-opus-5", "x", "claude-opus-5"),
        ("claude-opus-6", "claude-opus-5", "unknown"),
        ("claude-opus-5-5-preview", "x", "unknown"),
        ("haiku", "x", "unknown"),
    ],
)
def test_the_served_model_names_the_price_however_it_is_spelled(
    served: str | None, upstream_model: str, found: str
) -> None:
    price = TABLE.find(served, upstream_model)
    assert price.name == f"{found}@{TABLE.version}"
    assert TABLE.find(served, upstream_model) is price


def row(model: str, dollars: float | str | Decimal) -> dict[str, Any]:
    names = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    return {"id": model, **dict.fromkeys(names, dollars)}


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("deepseek-chat", "deepseek-*@config"),
        ("deepseek/deepseek-chat", "deepseek-*@config"),
        ("deepseek-r9", "deepseek-r*@config"),
        ("claude-opus-5-5", "claude-opus-5-5@config"),
        ("claude-opus-5-5-20261001", "claude-opus-5-5@config"),
        ("claude-opus-5", "claude-opus-5@2026-11-20"),
        ("claude-haiku-9", "claude-h*@config"),
        ("claude-haiku-4-5", "claude-h*@config"),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5-20251001@config"),
    ],
)
def test_configured_rows_count_first_and_exact_ids_before_the_longest_wildcard(
    model: str, found: str
) -> None:
    names = (
        *("deepseek-*", "deepseek-r*", "claude-opus-5-5", "claude-h*"),
        "anthropic/claude-haiku-4.5-20251001",
    )
    table = price_file.load(overrides=[row(name, 1) for name in names])
    assert table.find(model, "").name == found


def test_ever_new_names_of_an_upstream_take_no_memory() -> None:
    table = price_file.load()
    for number in range(3000):
        assert table.find(f"model-{number}", "") is table.unknown
    assert len(vars(table)["_kept"]) <= 1000


def test_amounts_are_the_decimal_numbers_that_were_written() -> None:
    table = price_file.load(overrides=[row("a", 0.28), row("b", "0.007"), row("c", Decimal("1.1"))])
    assert [table.find(name, "").rates.input for name in "abc"] == [280, 7, 1100]


def test_a_table_is_shared_without_being_changed() -> None:
    assert isinstance(TABLE, PriceTable)
    assert TABLE.find("claude-opus-5-5", "") == price_file.load().find("claude-opus-5-5", "")
