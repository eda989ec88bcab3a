"""What answers mean: the contract's table, row by row."""

import pytest

from proxy.causes import Cause
from proxy.upstreams.verdict import Mark, Move, Refusal, of_event, of_failure, of_refusal

EMPTY = "Your credit balance is too low to access the Anthropic API."
CAPPED = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
REFUSALS: dict[str, tuple[Refusal, Move, Mark, float, float]] = {
    "402": (Refusal(402), Move.ALWAYS, Mark.COOL, 600, 0),
    "an empty account": (Refusal(400, None, EMPTY), Move.ALWAYS, Mark.COOL, 600, 0),
    "a capped account": (Refusal(400, None, CAPPED), Move.ALWAYS, Mark.COOL, 600, 0),
    "a spend limit": (
        Refusal(429, None, "x", "enforced_spend_limit_reached"),
        *(Move.ALWAYS, Mark.COOL, 600, 0),
    ),
    "the words, quoted": (
        Refusal(400, None, f"messages.0: not allowed: {EMPTY}"),
        *(Move.NEVER, Mark.ALIVE, 0, 0),
    ),
    "400": (Refusal(400, None, "messages: missing"), Move.NEVER, Mark.ALIVE, 0, 0),
    "403": (Refusal(403), Move.ALWAYS, Mark.STRIKE_MODEL, 0, 0),
    "404": (Refusal(404), Move.ELSEWHERE, Mark.STRIKE_MODEL, 0, 0),
    "408": (Refusal(408), Move.NEVER, Mark.STRIKE, 0, 0),
    "409": (Refusal(409), Move.NEVER, Mark.ALIVE, 0, 0),
    "413": (Refusal(413), Move.NEVER, Mark.ALIVE, 0, 0),
    "429 for long": (Refusal(429, 30.0), Move.ALWAYS, Mark.COOL_MODEL, 30, 0),
    "429 for ever": (Refusal(429, 1e9), Move.ALWAYS, Mark.COOL_MODEL, 300, 0),
    "429 shortly": (Refusal(429, 5.0), Move.UNLESS_COSTLY, Mark.COOL_MODEL, 5, 0),
    "429 without a time": (Refusal(429), Move.ALWAYS, Mark.COOL_MODEL, 5, 60),
    "500": (Refusal(500), Move.UNLESS_COSTLY_OR_COOLING, Mark.STRIKE_MODEL, 0, 0),
    "502": (Refusal(502), Move.NEVER, Mark.STRIKE, 0, 0),
    "503": (Refusal(503), Move.UNLESS_COSTLY_OR_COOLING, Mark.STRIKE_MODEL, 0, 0),
    "504": (Refusal(504), Move.NEVER, Mark.STRIKE, 0, 0),
    "520": (Refusal(520), Move.NEVER, Mark.STRIKE, 0, 0),
    "527": (Refusal(527), Move.NEVER, Mark.STRIKE, 0, 0),
    "529": (Refusal(529), Move.UNLESS_COSTLY_OR_COOLING, Mark.STRIKE_MODEL, 0, 0),
    "529 with a time": (
        Refusal(529, 9.0),
        *(Move.UNLESS_COSTLY_OR_COOLING, Mark.STRIKE_MODEL, 0, 0),
    ),
}


@pytest.mark.parametrize(
    ("refusal", "move", "mark", "cool_s", "most_s"), REFUSALS.values(), ids=REFUSALS
)
def test_a_refusal(refusal: Refusal, move: Move, mark: Mark, cool_s: float, most_s: float) -> None:
    verdict = of_refusal(refusal)
    assert (verdict.move, verdict.mark) == (move, mark)
    assert (verdict.cool_s, verdict.most_s) == (cool_s, most_s)


@pytest.mark.parametrize(("refusal", "move", "mark", "cool_s", "most_s"), REFUSALS.values())
def test_counting_tokens_moves_alike_and_marks_nothing(
    refusal: Refusal, move: Move, mark: Mark, cool_s: float, most_s: float
) -> None:
    del mark, cool_s, most_s
    verdict = of_refusal(refusal._replace(counts=True))
    assert verdict.mark is Mark.NOTHING
    assert verdict.move is (Move.ALWAYS if refusal.status in (404, 405, 501) else move)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_who_does_not_count_tokens_is_passed_over(status: int) -> None:
    assert of_refusal(Refusal(status, counts=True)).move is Move.ALWAYS
    assert of_refusal(Refusal(status)).move is not Move.ALWAYS


@pytest.mark.parametrize("cause", Cause)
def test_only_what_was_never_served_is_sent_again(cause: Cause) -> None:
    moved = (Cause.UPSTREAM_UNREACHABLE, Cause.UPSTREAM_AUTH)
    assert (of_failure(cause).move is Move.ALWAYS) == (cause in moved)
    assert of_failure(cause, counts=True).mark is Mark.NOTHING


@pytest.mark.parametrize(
    "cause", [Cause.CLIENT_CLOSED, Cause.CLIENT_STALLED, Cause.DRAINING, Cause.OUT_OF_FILES]
)
def test_what_is_no_fault_of_an_upstream_marks_none(cause: Cause) -> None:
    assert of_failure(cause)[:2] == (Move.NEVER, Mark.NOTHING)


EVENTS = {
    "overload": ("overloaded_error", Move.ALWAYS, Mark.STRIKE_MODEL, Mark.STRIKE_MODEL),
    "API": ("api_error", Move.ALWAYS, Mark.STRIKE_MODEL, Mark.STRIKE_MODEL),
    "rate limit": ("rate_limit_error", Move.ALWAYS, Mark.STRIKE_MODEL, Mark.NOTHING),
    "request": ("invalid_request_error", Move.NEVER, Mark.NOTHING, Mark.NOTHING),
    "no type": ("", Move.NEVER, Mark.NOTHING, Mark.NOTHING),
}


@pytest.mark.parametrize(("kind", "move", "before", "after"), EVENTS.values(), ids=EVENTS)
def test_an_error_event_moves_before_content_only(
    kind: str, move: Move, before: Mark, after: Mark
) -> None:
    assert of_event(kind, has_begun=False)[:2] == (move, before)
    assert of_event(kind, has_begun=True)[:2] == (Move.NEVER, after)


def test_the_kindest_comes_first() -> None:
    order = [
        of_failure(Cause.DRAINING),
        of_refusal(Refusal(429, 2.0)),
        of_refusal(Refusal(529, 3.0)),
        of_refusal(Refusal(429, 40.0)),
        of_refusal(Refusal(529)),
        of_failure(Cause.UPSTREAM_UNREACHABLE),
        of_refusal(Refusal(404)),
    ]
    assert sorted(order, key=lambda verdict: verdict.rank) == order
    assert of_refusal(Refusal(503)).rank == of_refusal(Refusal(529)).rank
    assert of_refusal(Refusal(400, None, EMPTY)).rank == of_failure(Cause.UPSTREAM_AUTH).rank
