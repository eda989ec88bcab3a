"""An upstream outside of pools that fails all it is asked is known to, until it answers."""

import pytest

from proxy.causes import Cause
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.failing import Failing, Run
from proxy.upstreams.verdict import Refusal, Verdict

DOWN = verdicts.of_failure(Cause.UPSTREAM_UNREACHABLE)


def after(verdict: Verdict, times: int) -> Failing:
    """Return what is known after as many failures of a kind, one a second."""
    failing = Failing()
    for at in range(times):
        failing.note("a", verdict, "why", float(at))
    return failing


def test_three_failures_in_a_row_are_an_upstream_that_fails_since_the_first_of_them() -> None:
    assert after(DOWN, 2).of("a") is None
    assert after(DOWN, 3).of("a") == Run(0.0, 2.0, "why", 3)
    assert after(DOWN, 3).of("b") is None


def test_a_success_ends_it_and_that_is_news_once() -> None:
    failing = after(DOWN, 3)
    assert failing.alive("a", 9.0)
    assert (failing.of("a"), failing.runs, failing.ended) == (None, {}, {"a": 9.0})
    assert not failing.alive("a", 10.0)
    assert not after(DOWN, 2).alive("a", 9.0)


def test_the_clients_own_fault_is_an_answer_and_ends_it() -> None:
    failing = after(DOWN, 3)
    assert failing.note("a", verdicts.of_refusal(Refusal(400)), "400", 9.0)
    assert failing.of("a") is None


@pytest.mark.parametrize(
    ("verdict", "fails"),
    [
        (DOWN, True),
        (verdicts.of_failure(Cause.UPSTREAM_AUTH), True),
        (verdicts.of_refusal(Refusal(429, 60.0)), True),
        (verdicts.of_refusal(Refusal(529)), True),
        (verdicts.of_refusal(Refusal(403)), True),
        (verdicts.of_refusal(Refusal(404)), False),
        (verdicts.of_failure(Cause.CLIENT_CLOSED), False),
        (verdicts.of_failure(Cause.UPSTREAM_UNREACHABLE, counts=True), False),
    ],
    ids=[
        *("unreachable", "401", "429", "529", "403"),
        *("a-model-that-clients-ask-for", "a-client-that-left", "a-count-of-tokens"),
    ],
)
def test_what_is_no_fault_of_the_upstreams_says_nothing_of_it(
    verdict: Verdict, *, fails: bool
) -> None:
    assert (after(verdict, 5).of("a") is not None) is fails


def test_another_account_of_the_same_name_begins_anew() -> None:
    failing = after(DOWN, 3)
    failing.ended["a"] = 1.0
    failing.forget("a")
    assert (failing.runs, failing.ended) == ({}, {})
