"""Every cause and event has its sentence of advice; what is over ends what had begun, of one subject."""

import ast
from pathlib import Path

import pytest

from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_US, LOST
from proxy.notices.events import Event
from proxy.notices.failures import FAILURES
from proxy.notices.notice import ADVICE, Notice, notice
from proxy.notices.refusals import REFUSALS
from proxy.notices.what_to_do import EVENTS


def test_every_cause_and_every_event_has_advice_and_nothing_else_has() -> None:
    assert {*REFUSALS, *FAILURES} == {*Cause, BROKEN_BY_US[0], LOST}
    assert set(EVENTS) == set(Event)
    assert len(ADVICE) == len(REFUSALS) + len(FAILURES) + len(EVENTS)


@pytest.mark.parametrize("word", ADVICE)
def test_advice_is_one_sentence_without_its_end(word: str) -> None:
    do = ADVICE[word].do
    assert 3 <= len(do) <= 140
    assert do[0].islower() or do[0] == "`"
    assert do[-1] not in ".:;, "
    assert ". " not in do
    assert "|" not in "".join(ADVICE[word])


@pytest.mark.parametrize("word", ADVICE)
def test_what_the_page_says_further_ends_as_sentences_do(word: str) -> None:
    more = ADVICE[word].more
    assert not more or more[-1] == "."


@pytest.mark.parametrize(
    ("said", "do"),
    [
        (Notice(Cause.UPSTREAM_AUTH, "acct-a"), "put the right key into upstreams.acct-a.auth"),
        (Notice(Cause.UPSTREAM_AUTH), "put the right key into upstreams.NAME.auth"),
        (Notice("odd"), ""),
    ],
)
def test_advice_names_its_subject(said: Notice, do: str) -> None:
    assert said.do == do


@pytest.mark.parametrize(
    ("said", "other", "over"),
    [
        (Notice(Event.UPSTREAM_BACK, "a"), Notice(Event.UPSTREAM_COOLS, "a"), True),
        (Notice(Event.UPSTREAM_BACK, "a"), Notice(Event.UPSTREAM_COOLS, "a", "opus"), True),
        (Notice(Event.UPSTREAM_BACK, "a"), Notice(Cause.UPSTREAM_CUT, "a"), True),
        (Notice(Event.UPSTREAM_BACK, "a"), Notice(Cause.UPSTREAM_CUT, "b"), False),
        (Notice(Event.STORE_BACK), Notice(Event.STORE_DOWN), True),
        (Notice(Event.STORE_BACK), Notice(Event.REDIS_DOWN), False),
        (Notice(Event.STORE_DOWN), Notice(Event.STORE_DOWN), False),
        (Notice(Event.STORE_BACK), "a line of a library", False),
    ],
)
def test_what_is_back_ends_what_was_said_of_its_subject(
    said: Notice, other: object, *, over: bool
) -> None:
    assert said.ends(other) is over


def test_a_logger_takes_a_notice_beside_its_text() -> None:
    (made,) = notice(Event.NO_KEYS, "a", model="m", ids=("req_1", "req_2")).values()
    assert made == Notice("no_keys", "a", "m", "req_1", "req_2")
    assert made.kind == Notice("no_keys", "a", "m")


def _warnings() -> list[ast.Call]:
    package = Path(__file__).parents[2] / "proxy"
    return [
        node
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in ("_log.warning", "_log.error", "_log.critical", "_log.log")
    ]


def test_every_warning_says_what_it_is_about() -> None:
    calls = _warnings()
    assert len(calls) > 40
    for call in calls:
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        # A traceback is a defect by itself.
        said = given.get("extra", "")
        assert "exc_info" in given or said.startswith(("notice(", "_about(")), ast.unparse(call)
