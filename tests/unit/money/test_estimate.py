"""What a request is expected to use: learned from what the key's requests turned out to count."""

import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.money import price_file
from proxy.money.estimate import START_RATIO, InputRatio, expected, worst
from proxy.money.prices import Modifiers
from proxy.money.usage import Billed

TABLE = price_file.load()
PLAIN = Modifiers()


def test_before_anything_is_learned_all_of_a_body_counts() -> None:
    assert InputRatio().value == START_RATIO == 1 / 4
    assert expected(4000, 100, 4096) == Billed(output=100, write_5m=1000)


@pytest.mark.parametrize(
    ("body_bytes", "ratio", "max_tokens", "estimated"),
    [
        (0, 1 / 4, 0, Billed()),
        (1, 1 / 4, 1, Billed(output=1, write_5m=1)),
        (400_000, 1 / 64, 32_000, Billed(output=4096, write_5m=6250, read=93_750)),
        (400_001, 1 / 64, 32_000, Billed(output=4096, write_5m=6251, read=93_749)),
        (400_000, 1 / 4, 10, Billed(output=10, write_5m=100_000)),
        (4000, 1.0, 10, Billed(output=10, write_5m=4000)),
    ],
)
def test_what_does_not_count_is_read_from_the_cache_and_output_is_bounded(
    body_bytes: int, ratio: float, max_tokens: int, estimated: Billed
) -> None:
    assert expected(body_bytes, max_tokens, 4096, ratio) == estimated


def test_the_worst_is_two_bytes_a_token_and_all_the_output() -> None:
    assert worst(4001, 32_000) == Billed(output=32_000, write_1h=2001)


def test_the_ratio_goes_a_quarter_of_the_way_to_each_requests_own() -> None:
    ratio = InputRatio()
    ratio.learn(1000, 50)
    assert ratio.value == pytest.approx(0.2)
    ratio.learn(1000, 1000)
    assert ratio.value == pytest.approx(0.4)


def test_an_empty_body_teaches_nothing() -> None:
    ratio = InputRatio()
    ratio.learn(0, 10**9)
    assert ratio.value == START_RATIO


def test_a_conversation_of_400_kb_is_soon_expected_to_count_what_it_does() -> None:
    ratio = InputRatio()
    for _ in range(12):
        ratio.learn(400_000, 3000)
    assert expected(400_000, 32_000, 4096, ratio.value).counted_input == 6250


@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**9)), max_size=50))
def test_whatever_is_learned_the_ratio_stays_in_its_bounds(learned: list[tuple[int, int]]) -> None:
    ratio = InputRatio()
    for body_bytes, counted in learned:
        ratio.learn(body_bytes, counted)
        assert 1 / 64 <= ratio.value <= 1


@given(st.integers(0, 10**8), st.integers(0, 10**6), st.floats(1 / 64, 1))
def test_an_estimate_covers_the_whole_body_and_never_exceeds_the_worst(
    body_bytes: int, max_tokens: int, ratio: float
) -> None:
    likely, most = expected(body_bytes, max_tokens, 4096, ratio), worst(body_bytes, max_tokens)
    assert likely.prompt >= body_bytes // 4
    assert likely.counted_input == math.ceil(body_bytes * ratio)
    price = TABLE.find("claude-opus-5-5", "")
    if ratio <= 1 / 2:
        assert price.cost_micros(likely, PLAIN) <= price.cost_micros(most, PLAIN) + 8


class Stopped(NamedTuple):
    """How a key's day ended."""

    spent: int
    served: int


def spend(model: str, body_bytes: int, used: Billed, budget: int, parallel: int) -> Stopped:
    """Send requests through a budget until none passes with nothing in flight; the oldest ends first."""
    price, ratio = TABLE.find(model, ""), InputRatio()
    cost = price.cost_micros(used, PLAIN)
    spent, served = 0, 0
    held: list[int] = []
    while True:
        hold = price.cost_micros(expected(body_bytes, 32_000, 4096, ratio.value), PLAIN)
        if len(held) < parallel and spent + sum(held) + hold <= budget:
            held.append(hold)
            continue
        if not held:
            return Stopped(spent, served)
        held.pop(0)
        spent += cost
        served += 1
        ratio.learn(body_bytes, used.counted_input)


@pytest.mark.parametrize(
    ("model", "body_bytes", "used"),
    [
        ("claude-haiku-4-5", 400_000, Billed(None, 10, 900, 3000, 0, 97_000)),
        ("claude-haiku-5-5", 400_000, Billed(None, 10, 900, 0, 3000, 97_000)),
        ("claude-sonnet-5-5", 80_000, Billed(None, 10, 500, 900, 0, 19_000)),
    ],
)
def test_a_key_that_caches_is_stopped_at_its_budget_not_at_a_fraction_of_it(
    model: str, body_bytes: int, used: Billed
) -> None:
    """Eight at a time, one dollar."""
    stopped = spend(model, body_bytes, used, 1_000_000, 8)
    assert 950_000 <= stopped.spent <= 1_050_000
    worst_hold = TABLE.find(model, "").cost_micros(worst(body_bytes, 32_000), PLAIN)
    assert stopped.served > 1_000_000 // worst_hold


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-fable-5-1", "claude-haiku-5-5"])
@pytest.mark.parametrize("parallel", [1, 8])
def test_no_budget_is_left_but_one_hold_nor_exceeded_by_more_than_holds_fall_short(
    model: str, parallel: int
) -> None:
    used = Billed(None, 10, 900, 3000, 0, 97_000)
    price = TABLE.find(model, "")
    cost = price.cost_micros(used, PLAIN)
    hold = price.cost_micros(expected(400_000, 32_000, 4096, 1 / 64), PLAIN)
    stopped = spend(model, 400_000, used, 5_000_000, parallel)
    assert stopped.spent > 5_000_000 - hold
    assert stopped.spent <= 5_000_000 + parallel * max(0, cost - hold)
