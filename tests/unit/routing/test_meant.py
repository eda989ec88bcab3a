"""Of an unknown id, the model that was probably meant is named, when the key may use it."""

import time

import pytest

from fuzz.machine import slowness
from proxy.config import Model
from proxy.errors import ModelForbidden, UnknownModel
from proxy.routing.model_ids import canonical
from proxy.routing.router import Router

MODELS = (
    Model("anthropic/claude-opus-5.5", "a", aliases=("opus",)),
    Model("anthropic/claude-opus-4.8", "a"),
    Model("anthropic/claude-sonnet-4.6", "a"),
    Model("anthropic/claude-haiku-4.5", "a", aliases=("haiku", "fast")),
    Model("anthropic/claude-x-*", "a"),
)
ROUTER = Router(MODELS)

MEANT = {
    "sonet": "anthropic/claude-sonnet-4.6",
    "sonnet": "anthropic/claude-sonnet-4.6",
    "Sonnet": "anthropic/claude-sonnet-4.6",
    "claude-sonnet": "anthropic/claude-sonnet-4.6",
    "claude-sonet-4-6": "anthropic/claude-sonnet-4.6",
    "anthropic/claude-sonnet-4.7": "anthropic/claude-sonnet-4.6",
    "antropic/claude-sonnet-4.6": "anthropic/claude-sonnet-4.6",
    "Anthropic/claude-sonnet-4.6": "anthropic/claude-sonnet-4.6",
    "claude-4-6-sonnet": "anthropic/claude-sonnet-4.6",
    "claude-opus-4-9": "anthropic/claude-opus-4.8",
    "opus5.5": "anthropic/claude-opus-5.5",
    "opuss": "anthropic/claude-opus-5.5",
    "hayku": "anthropic/claude-haiku-4.5",
    "fasst": "anthropic/claude-haiku-4.5",
    "claude-haiku-4-5-20251001": "anthropic/claude-haiku-4.5",
}


@pytest.mark.parametrize(("given", "wanted"), MEANT.items(), ids=MEANT)
def test_a_slip_is_answered_with_what_was_meant(given: str, wanted: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        ROUTER.find_for(("*",), given)
    assert raised.value.message == f"model: {given}; did you mean {wanted}?"


@pytest.mark.parametrize(
    "given",
    ["openai/gpt-5.5", "gpt-5.5", "o3", "gemini-2.5-pro", "mistral-large", "x" * 300, "claude-"],
)
def test_what_is_another_vendors_is_not_taken_for_a_slip(given: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        ROUTER.find_for(("*",), given)
    assert "did you mean" not in raised.value.message


@pytest.mark.parametrize("given", ["ab-" * 80, "a" * 60, "claude-" + "aab" * 60])
def test_of_a_large_catalog_it_is_looked_for_in_little_time(given: str) -> None:
    names = (f"anthropic/claude-{'a' * 20}-{n}-{'b' * 20}" for n in range(400))
    router = Router([Model(name, "a", aliases=(f"{name}-alias",)) for name in names])
    took_s = []
    for _ in range(3):  # also a thread's time is longer while others want its core
        began_s = time.thread_time()
        with pytest.raises(UnknownModel):
            router.find_for(("*",), given)
        took_s.append(time.thread_time() - began_s)
    assert min(took_s) / slowness() < 0.05


def test_only_what_the_key_may_use_is_named() -> None:
    with pytest.raises(UnknownModel, match=r"did you mean anthropic/claude-opus-4\.8\?"):
        ROUTER.find_for(("claude-opus-4.8", "claude-haiku-*"), "opuss")
    with pytest.raises(UnknownModel) as raised:
        ROUTER.find_for(("claude-haiku-*",), "opuss")
    assert "opus-" not in raised.value.message


def test_who_may_not_use_a_model_is_told_which_it_may() -> None:
    with pytest.raises(ModelForbidden) as raised:
        ROUTER.find_for(("claude-haiku-*", "fast"), "claude-opus-5-5")
    assert raised.value.message == (
        "this key may not use model: claude-opus-5-5; it may use claude-haiku-*, fast"
    )
    with pytest.raises(ModelForbidden, match=r"it may use a0, a1, a2, a3, a4 and 3 more$"):
        ROUTER.find_for(tuple(f"a{i}" for i in range(8)), "opus")


@pytest.mark.parametrize("given", ["claude-haiku-4-5[1m]", "claude-haiku-4-5[1M]", "haiku[1M]"])
def test_the_mark_of_a_long_context_counts_in_either_case(given: str) -> None:
    assert ROUTER.find_for(("*",), given).upstream_model == "claude-haiku-4-5"
    assert "[" not in canonical(given)
