"""From a model id to its upstream: spellings, wildcards, aliases, permissions, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Model
from proxy.errors import UnknownModel
from proxy.routing.model_ids import canonical, canonical_pattern
from proxy.routing.router import Router, permits

SONNET = Model(
    id="anthropic/claude-sonnet-4.6", upstream="a", aliases=("sonnet", "claude-best-1.0")
)
HAIKU = Model(id="anthropic/claude-haiku-4.5", upstream="b", upstream_model="haiku-special")
OPUS_ANY = Model(id="anthropic/claude-opus-*", upstream="c", upstream_model="vendor.opus-*-v1")
OPUS_FOUR = Model(id="anthropic/claude-opus-4.*", upstream="d")
ANY = Model(id="anthropic/*", upstream="e")
ROUTER = Router([ANY, OPUS_ANY, OPUS_FOUR, SONNET, HAIKU])


@pytest.mark.parametrize(
    ("spelled", "one_way"),
    [
        ("anthropic/claude-sonnet-4.6", "anthropic/claude-sonnet-4-6"),
        ("anthropic/claude-sonnet-4-6", "anthropic/claude-sonnet-4-6"),
        ("claude-sonnet-4-6", "anthropic/claude-sonnet-4-6"),
        ("claude-sonnet-4.6[1m]", "anthropic/claude-sonnet-4-6"),
        ("claude-opus-4-20250514", "anthropic/claude-opus-4-20250514"),
        ("claude-3.5.1", "anthropic/claude-3-5-1"),
        ("claude-opus-4.", "anthropic/claude-opus-4-"),
        ("claude-v.2", "anthropic/claude-v.2"),
        ("claude-[1m]-x", "anthropic/claude-[1m]-x"),
        ("gpt-4.1", "gpt-4-1"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("sonnet", "sonnet"),
        ("", ""),
    ],
)
def test_an_id_has_one_canonical_spelling(spelled: str, one_way: str) -> None:
    assert canonical(spelled) == one_way


@given(st.text(st.sampled_from("claude-/.*[1m]4anthropic"), max_size=30))
def test_dots_and_dashes_between_digits_never_tell_ids_apart(model_id: str) -> None:
    dashed = canonical(model_id)
    assert canonical(dashed.removesuffix("[1m]")) == canonical(dashed)
    assert canonical(f"x1.2{model_id}") == canonical(f"x1-2{model_id}")


@pytest.mark.parametrize(
    ("asked", "upstream", "upstream_model", "model"),
    [
        ("anthropic/claude-sonnet-4.6", "a", "claude-sonnet-4-6", SONNET),
        ("claude-sonnet-4-6[1m]", "a", "claude-sonnet-4-6", SONNET),
        ("sonnet", "a", "claude-sonnet-4-6", SONNET),
        ("sonnet[1m]", "a", "claude-sonnet-4-6", SONNET),
        ("claude-best-1-0", "a", "claude-sonnet-4-6", SONNET),
        ("claude-haiku-4.5", "b", "haiku-special", HAIKU),
        ("claude-opus-5.5", "c", "vendor.opus-5.5-v1", OPUS_ANY),
        ("claude-opus-5-5[1m]", "c", "vendor.opus-5-5-v1", OPUS_ANY),
        ("claude-opus-4.8", "d", "claude-opus-4-8", OPUS_FOUR),
        ("claude-opus-4-8", "d", "claude-opus-4-8", OPUS_FOUR),
        ("claude-opus-", "e", "claude-opus-", ANY),
        ("anthropic/unheard-of", "e", "unheard-of", ANY),
        ("claude-haiku-4.5-20251001", "e", "claude-haiku-4-5-20251001", ANY),
    ],
)
def test_exact_ids_win_over_aliases_over_longer_over_shorter_wildcards(
    asked: str, upstream: str, upstream_model: str, model: Model
) -> None:
    route = ROUTER.find(asked)
    assert (route.upstream, route.upstream_model) == (upstream, upstream_model)
    assert route.model is model


def test_an_alias_has_the_permissions_of_its_model() -> None:
    assert ROUTER.find("sonnet").canonical == "anthropic/claude-sonnet-4-6"


@pytest.mark.parametrize("vendor", ["openai/gpt-5", "gpt-5", "google/gemini-3", "", "*"])
def test_another_vendors_model_is_sent_to_chat_completions(vendor: str) -> None:
    with pytest.raises(UnknownModel) as refused:
        ROUTER.find(vendor)
    assert refused.value.message == (
        f"model: {vendor}: only anthropic/ models are served here; "
        "other vendors' models need a chat completions endpoint, which this gateway does not serve"
    )


@pytest.mark.parametrize("asked", ["anthropic/claude-none", "claude-none", "anthropic/"])
def test_an_unknown_model_of_ours_is_named_as_it_was_asked_for(asked: str) -> None:
    with pytest.raises(UnknownModel) as refused:
        Router([SONNET]).find(asked)
    assert refused.value.message == f"model: {asked}"


def test_a_refusal_shows_no_more_than_200_characters_of_an_id() -> None:
    with pytest.raises(UnknownModel) as refused:
        Router([SONNET]).find("claude-" + "x" * 10_000)
    assert len(refused.value.message) == len("model: ") + 200


def test_long_ids_are_routed_but_not_remembered() -> None:
    router = Router([ANY])
    for length in (100, 10_000):
        assert router.find("claude-" + "x" * length).upstream == "e"
    assert router._find_short.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("patterns", "asked", "allowed"),
    [
        (["*"], "claude-opus-9", True),
        (["anthropic/*"], "sonnet", True),
        (["claude-sonnet-*"], "anthropic/claude-sonnet-4.6", True),
        (["anthropic/claude-sonnet-4.*"], "claude-sonnet-4-6", True),
        (["anthropic/claude-sonnet-4.6"], "sonnet", True),
        (["claude-sonnet-4-6"], "claude-sonnet-4.6[1m]", True),
        (["anthropic/claude-sonnet-4.6"], "claude-sonnet-4.60", False),
        (["anthropic/claude-haiku-*"], "sonnet", False),
        (["sonnet"], "sonnet", True),
        (["sonnet"], "claude-sonnet-4-6", True),
        (["claude-best-1-0"], "sonnet", True),
        (["sonnet"], "claude-haiku-4.5", False),
        (["sonnet"], "claude-opus-9", False),
        (["claude-best-*"], "claude-best-1.0", False),
        (["openai/*"], "sonnet", False),
        ([], "sonnet", False),
        (["openai/*", "anthropic/claude-haiku-4.5"], "claude-haiku-4-5", True),
    ],
    ids=str,
)
def test_a_key_may_use_what_its_ids_and_wildcards_name(
    patterns: list[str], asked: str, *, allowed: bool
) -> None:
    assert permits(tuple(patterns), ROUTER.find(asked)) is allowed


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4.5"),
        ("claude-haiku-4.5", "anthropic/claude-haiku-4.5"),
        ("claude-haiku-4.5[1m]", "anthropic/claude-haiku-4.5"),
        ("claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
        ("claude-3.5.1-x", "anthropic/claude-3.5.1-x"),
    ],
)
def test_a_wildcards_star_is_what_the_client_wrote_with_its_dots(asked: str, sent: str) -> None:
    route = Router([Model("anthropic/*", "a", upstream_model="anthropic/*")]).find(asked)
    assert route.upstream_model == sent
    assert route.canonical == canonical(asked)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("anthropic/*", True),
        ("claude-sonnet-4.6", True),
        ("sonnet", True),
        ("claude-sonnet-*", True),
        ("claude-opus-4.*", True),
        ("claude-opus-4-8", True),
        ("claude-opus-", False),
        ("claude-haiku-4.5", False),
        ("claude-haiku-*", False),
        ("sonn*", False),
        ("openai/*", False),
    ],
)
def test_a_keys_pattern_can_match_or_not(pattern: str, *, matches: bool) -> None:
    assert Router([SONNET, OPUS_ANY]).can_match(pattern) is matches


def test_wildcards_are_compared_in_canonical_spelling_too() -> None:
    assert canonical_pattern("claude-opus-4.*") == canonical_pattern("anthropic/claude-opus-4-*")
    assert canonical_pattern("claude-opus-4.6") == canonical("claude-opus-4-6")
