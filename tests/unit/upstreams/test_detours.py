"""Whom a request asks first and whom next: every verdict, with a cheap and a costly request, ready others and none."""

import itertools

import pytest

from proxy.config import Member, Model, Pool
from proxy.routing.router import Route
from proxy.upstreams.budget import RetryBudget
from proxy.upstreams.detours import Detours
from proxy.upstreams.health import Health, Place
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.verdict import Mark, Move, Verdict

MODEL = Model("anthropic/m", "pool")
ROUTES = {name: Route(name, "m", MODEL, "anthropic/m") for name in "abcd"}
URLS = {"a": "https://one", "b": "https://one", "c": "https://two", "d": "https://two"}
NOW = 100.0


def verdict(move: Move) -> Verdict:
    return Verdict(move, Mark.NOTHING, (0, 0.0))


def way(
    names: str = "abcd",
    *,
    costly: bool = False,
    attempts: int = 3,
    health: Health | None = None,
    budget: RetryBudget | None = None,
) -> Detours:
    pool = Pool("pool", tuple(map(Member, URLS)), attempts=attempts)
    candidates = [ROUTES[name] for name in names]
    order = PoolOrder(pool, URLS)
    return Detours(
        candidates, order, health or Health(), budget or RetryBudget(NOW), lambda: costly
    )


def cooling(**seconds: float) -> Health:
    health = Health()
    for name, each in seconds.items():
        health.cool(Place(name, None), NOW, "401", each)
    return health


def asked(found: Route | None) -> str:
    return "" if found is None else found.upstream


# By move: where a cheap request goes on to, a costly one, and a costly one whose home cools.
MOVES = {
    Move.NEVER: ("", "", ""),
    Move.ALWAYS: ("b", "b", "b"),
    Move.ELSEWHERE: ("c", "c", "c"),
    Move.UNLESS_COSTLY: ("b", "", ""),
    Move.UNLESS_COSTLY_OR_COOLING: ("b", "", "b"),
}


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("others", ["ready", "cooling", "none"])
@pytest.mark.parametrize("has_budget", [True, False], ids=["budget", "no budget"])
def test_where_a_request_goes_after_its_home(move: Move, others: str, has_budget: bool) -> None:  # noqa: FBT001 - a case
    for (costly, cools), expected in zip(
        ((False, False), (True, False), (True, True)), MOVES[move], strict=True
    ):
        health = cooling(b=60, c=60, d=60) if others == "cooling" else Health()
        budget = RetryBudget(NOW)
        while not has_budget and budget.spend(NOW):
            pass
        found = way(
            "a" if others == "none" else "abcd", costly=costly, health=health, budget=budget
        )
        assert asked(found.first(NOW)) == "a"
        if cools:
            health.cool(Place("a", None), NOW, "529", 5)
        can = others == "ready" and has_budget
        assert asked(found.next(verdict(move), NOW)) == (expected if can else "")
        assert found.is_broke == (others == "ready" and not has_budget and bool(expected))


@pytest.mark.parametrize(
    ("health", "costly", "first"),
    [
        (cooling(), False, "a"),
        (cooling(a=60), False, "b"),
        (cooling(a=60, b=60), False, "c"),
        (cooling(a=4), False, "b"),
        (cooling(a=4), True, "a"),
        (cooling(a=6), True, "b"),
        (cooling(a=60, b=50, c=40, d=70), False, "c"),
        (cooling(a=4, b=3, c=3, d=3), True, "a"),
    ],
    ids=["all", "home", "two", "short", "short, costly", "costly", "none", "none, costly"],
)
def test_who_is_asked_first(health: Health, costly: bool, first: str) -> None:  # noqa: FBT001 - a case
    assert asked(way(health=health, costly=costly).first(NOW)) == first


def test_when_none_is_ready_one_is_asked_and_that_is_final() -> None:
    health = cooling(a=60, b=50, c=40, d=70)
    found = way(health=health)
    found.first(NOW)
    assert found.next(verdict(Move.ALWAYS), NOW) is None


def struck(place: Place, health: Health) -> Health:
    for _ in range(3):
        health.strike(place, NOW, "529")
    return health


def test_when_none_is_ready_those_come_next_that_decline_some_of_their_requests() -> None:
    health = Health()
    for name in "abcd":
        struck(Place(name, "m"), health)
    budget = RetryBudget(NOW)
    found = way(health=health, budget=budget)
    assert asked(found.first(NOW)) == "a"
    assert [asked(found.next(verdict(Move.ALWAYS), NOW)) for _ in range(3)] == ["b", "c", ""]
    while budget.spend(NOW):
        pass
    found = way(health=health, budget=budget)
    found.first(NOW)
    assert (found.next(verdict(Move.ALWAYS), NOW), found.is_broke) == (None, True)


def test_nobody_is_asked_who_has_asked_for_it_or_cannot_be_reached() -> None:
    health = struck(Place("a", "m"), Health())
    health.cool(Place("b", "m"), NOW, "429", 30)
    struck(Place("c", None), health)
    struck(Place("d", "m"), health)
    health.cool(Place("d", "m"), NOW, "429", 1)
    found = way(health=health)
    assert asked(found.first(NOW)) == "a"
    assert found.next(verdict(Move.ALWAYS), NOW) is None


@pytest.mark.parametrize("attempts", [1, 2, 3, 10])
def test_nobody_is_asked_twice_and_not_more_than_attempts(attempts: int) -> None:
    found = way(attempts=attempts)
    names = [asked(found.first(NOW))]
    while (each := found.next(verdict(Move.ALWAYS), NOW)) is not None:
        names.append(asked(each))
    assert names == list("abcd")[: min(attempts, 4)]


def test_away_from_home_nothing_is_costly() -> None:
    for move in (Move.UNLESS_COSTLY, Move.UNLESS_COSTLY_OR_COOLING):
        found = way(costly=True)
        found.first(NOW)
        found.next(verdict(Move.ALWAYS), NOW)
        assert asked(found.next(verdict(move), NOW)) == "c"


def test_no_server_is_asked_again_that_does_not_know_the_model() -> None:
    found = way("abcd", attempts=4)
    assert asked(found.first(NOW)) == "a"
    assert asked(found.next(verdict(Move.ELSEWHERE), NOW)) == "c"
    assert asked(found.next(verdict(Move.ELSEWHERE), NOW)) == ""


def test_whether_it_can_move_is_what_it_then_does() -> None:
    for names, cools in itertools.product(("a", "ab"), (False, True)):
        found = way(names, health=cooling(b=9) if cools else cooling())
        found.first(NOW)
        can = found.can_move(NOW)
        assert can == (found.next(verdict(Move.ALWAYS), NOW) is not None)
