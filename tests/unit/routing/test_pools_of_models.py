"""From a model id to the members of a pool that serve it, each with its own id."""

import pytest

from proxy.config import Member, Model, Pool, Upstream
from proxy.errors import UnknownModel
from proxy.routing.model_ids import OwnIds
from proxy.routing.router import Router

IDS = (("claude-*", "eu.anthropic.claude-*-v1"), ("claude-opus-*", "opus"), ("claude-x", "y"))
ROUTER = Router(
    (
        Model("anthropic/*", "pool"),
        Model("anthropic/one-*", "single"),
        Model("anthropic/claude-z", "clouds", "claude-x"),
        Model("anthropic/claude-*", "clouds"),
    ),
    (
        Upstream("a", "https://a"),
        Upstream("b", "https://b"),
        Upstream("c", "https://c", model_ids=IDS),
    ),
    (
        Pool("pool", (Member("c", priority=2), Member("a"))),
        Pool("single", (Member("a"), Member("c"))),
        Pool("clouds", (Member("c"),)),
    ),
)


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("claude-sonnet-5", "eu.anthropic.claude-sonnet-5-v1"),
        ("claude-opus-5", "opus"),
        ("claude-x", "y"),
        ("gemini", None),
    ],
)
def test_an_upstream_calls_models_by_its_own_ids(model: str, own: str | None) -> None:
    ids = OwnIds(IDS)
    assert ids.own(model) == own
    if own not in (None, "opus"):
        assert ids.native(own or "") == model


@pytest.mark.parametrize("own", ["gemini", "eu.anthropic.claude-opus-5-v1", "eu.anthropic.claude-"])
def test_what_is_not_served_under_an_id_has_no_native_one(own: str) -> None:
    assert OwnIds(IDS).native(own) is None


def test_without_ids_every_model_is_served_by_its_native_one() -> None:
    assert (OwnIds().own("m"), OwnIds().native("m")) == ("m", "m")


def test_a_pool_has_a_route_by_each_member_that_serves_the_model() -> None:
    route = ROUTER.find("anthropic/mythos-5")
    assert (route.upstream, route.pool, route.choices) == ("a", "pool", {})
    both = ROUTER.find("anthropic/claude-x")
    assert (both.upstream, both.upstream_model, both.native) == ("c", "y", "claude-x")
    assert both.pool == "clouds"


def test_members_come_by_priority_and_each_has_its_own_id() -> None:
    router = Router(
        (Model("anthropic/*", "pool"),),
        (Upstream("a", "https://a"), Upstream("c", "https://c", model_ids=IDS)),
        (Pool("pool", (Member("c", priority=2), Member("a"))),),
    )
    route = router.find("claude-x")
    assert {name: each.upstream_model for name, each in route.choices.items()} == {
        "a": "claude-x",
        "c": "y",
    }
    assert list(route.choices) == ["a", "c"]
    assert (route.upstream, route.native) == ("a", "claude-x")
    found = route.by("c")
    assert found is not None
    assert (found.upstream_model, found.choices) == ("y", {})
    assert (route.by("a"), route.by("d")) == (route, None)


def test_what_no_member_serves_is_left_to_a_shorter_wildcard_or_unknown() -> None:
    router = Router(
        [Model(f"anthropic/{start}*", "ab"[not start]) for start in ("claude-", "gemini-", "")],
        (
            Upstream("a", "https://a", model_ids=(("claude-x", "x"),)),
            Upstream("b", "https://b", model_ids=(("claude-*", "*"),)),
        ),
    )
    assert router.find("claude-x").upstream == "a"
    assert (router.find("claude-y").upstream, router.find("claude-y").upstream_model) == ("b", "y")
    with pytest.raises(UnknownModel):
        router.find("anthropic/gemini-2")
