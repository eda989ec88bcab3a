"""What a response says of itself decides its bill: its model, where and how fast it ran, a refusal."""

import pytest

from proxy.money.bill import bill
from proxy.money.usage import Sums
from proxy.progress import Progress
from tests.unit.money.billing import EXPECTED_MICROS, OPUS, TABLE, WHOLE, facts


def test_an_answer_of_another_model_costs_what_that_model_does() -> None:
    ended = facts(Progress.COMPLETE, usage=WHOLE, served_model="claude-haiku-4-5-20251001")
    found = bill(ended, TABLE)
    assert found.price == "claude-haiku-4-5@2026-11-20"
    assert found.cost_micros == 1000 + 200 * 2 + 50_000 * 0.1 + 300 * 5


def test_iterations_cost_each_what_its_own_model_does() -> None:
    advised = {
        "input_tokens": 10,
        "output_tokens": 1,
        "iterations": [
            {"input_tokens": 1000, "output_tokens": 10},
            {"input_tokens": 2000, "output_tokens": 20, "model": OPUS},
        ],
    }
    ended = facts(Progress.COMPLETE, usage=advised, served_model="claude-haiku-4-5")
    found = bill(ended, TABLE)
    assert found.cost_micros == (1000 + 10 * 5) + (2000 * 4 + 20 * 20)
    assert found.price == "claude-haiku-4-5@2026-11-20,claude-opus-5-5@2026-11-20"
    assert (found.counted_input, found.output) == (3000, 30)


@pytest.mark.parametrize(
    ("category", "output", "is_billed"),
    [
        (None, 0, False),
        ("cyber", 0, False),
        ("general_harms", 0, False),
        ("bio", 0, True),
        ("frontier_llm", 0, True),
        ("reasoning_extraction", 0, True),
        ("a category of next year", 0, True),
        ("cyber", 1, True),
        (None, 1, True),
    ],
)
def test_a_refusal_without_output_is_told_and_costs_nothing_but_in_the_billed_categories(
    category: str | None,
    output: int,
    is_billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    usage = {"input_tokens": 1000, "output_tokens": output}
    ended = facts(Progress.COMPLETE, usage=usage, stop_reason="refusal", refusal=category)
    found = bill(ended, TABLE)
    assert found.sums == Sums(1000, output)
    assert found.cost_micros == (4000 + 20 * output if is_billed else 0)
    assert found.price == (f"{OPUS}@2026-11-20" if is_billed else "refusal@2026-11-20")


def test_where_and_how_fast_it_ran_is_the_responses_word_before_the_requests() -> None:
    asked = {"speed": "fast", "geo": "us"}
    silent = bill(facts(Progress.COMPLETE, usage={"input_tokens": 1000}, **asked), TABLE)
    usage = {"input_tokens": 1000, "speed": "standard", "inference_geo": "global"}
    told = bill(facts(Progress.COMPLETE, usage=usage, **asked), TABLE)
    assert (silent.cost_micros, silent.speed, silent.geo) == (8800, "fast", "us")
    assert (told.cost_micros, told.speed, told.geo) == (4000, "standard", "global")
    broken = bill(facts(Progress.SENT, **asked), TABLE)
    assert broken.cost_micros == EXPECTED_MICROS * 2.2


def test_words_of_an_upstream_are_cut() -> None:
    usage = {"input_tokens": 1, "service_tier": "x" * 99, "speed": 7, "inference_geo": ["us"]}
    found = bill(facts(Progress.COMPLETE, usage=usage), TABLE)
    assert (found.service_tier, found.speed, found.geo) == ("x" * 32, None, None)
