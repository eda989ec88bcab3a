"""Alerts are told once for what they are about: rules by tables, and an upstream that comes and goes."""

import shlex
from typing import Any

import pytest

from proxy.admin.alerts import Alert, dollars, of_budgets, of_ledger, of_sessions, of_unpriced
from proxy.admin.cooling import BACK, COOLS, Cooling, Identity, reason_of
from proxy.config import Budgets
from proxy.limits.local import Spent

NOON_MS = 1_795_694_400_000  # 2026-11-26T12:00:00Z
S = 1000
DAY = Budgets(day_micros=20_000_000)


@pytest.mark.parametrize(
    ("day_micros", "rule"),
    [
        (14_999_999, None),
        (15_000_000, "budget_75"),
        (18_999_999, "budget_75"),
        (19_000_000, "budget_95"),
        (20_000_000, "budget_100"),
        (90_000_000, "budget_100"),
    ],
)
def test_of_a_budget_the_highest_share_that_is_used_is_told(
    day_micros: int, rule: str | None
) -> None:
    found = of_budgets({"key ci": Spent(day_micros, 0)}, {"key ci": DAY}, NOON_MS)
    assert [each.rule for each in found] == ([] if rule is None else [rule])
    for each in found:
        assert (each.subject, each.period) == ("key ci day", "2026-11-26")
        refused = "refused until 2026-11-27T00:00:00Z" in each.text
        assert refused is (rule == "budget_100")


def test_a_month_is_a_subject_of_its_own_and_budgets_that_watch_or_block_say_so() -> None:
    budgets = {
        "global": Budgets(month_micros=10, shadow=True),
        "owner web": Budgets(day_micros=0),
        "key new": DAY,
    }
    (found,) = of_budgets({"global": Spent(0, 10), "owner web": Spent(5, 5)}, budgets, NOON_MS)
    assert (found.subject, found.period) == ("global month", "2026-11")
    assert "nothing is refused" in found.text
    assert found.text.startswith("all keys together have used $0.000010 of")


def test_sessions_models_and_the_ledger_are_told_with_what_to_do() -> None:
    found = [
        *of_sessions([("b160", "ci", 26_000_000)], [("c2", "ci", 31)], 25_000_000, NOON_MS),
        *of_unpriced([("gpt\n<!channel>", 7)], NOON_MS),
        *of_ledger("host-1", [None, NOON_MS - 61 * S], 3, NOON_MS),
    ]
    assert [(each.rule, each.subject, each.period) for each in found] == [
        ("session_spends", "b160", "2026-11-26T12Z"),
        ("session_agents", "c2", "2026-11-26T12Z"),
        ("model_unpriced", "gpt?<!channel>", "2026-11-26"),
        ("ledger_behind", "host-1", "2026-11-26T12Z"),
        ("rows_lost", "host-1", "2026-11-26"),
    ]
    assert "$26.00 in 10 minutes, over $25.00" in found[0].text
    assert all(each.do and "\n" not in each.text for each in found)
    assert len({each.id for each in found}) == len(found)
    assert of_ledger("host-1", [None, NOON_MS - 60 * S], 0, NOON_MS) == []


def test_a_command_to_type_is_one_command_whatever_clients_call_their_sessions() -> None:
    (found,) = of_sessions([("$(reboot); a`b`'c", "ci", 26_000_000)], [], 25_000_000, NOON_MS)
    command = found.do.split("`", 1)[1].rpartition("`,")[0]
    assert shlex.split(command) == ["anyrouter", "session", "$(reboot); a`b`'c"]
    (found,) = of_budgets({"key a;b": Spent(20_000_000, 0)}, {"key a;b": DAY}, NOON_MS)
    command = found.do.split("`")[1]
    assert shlex.split(command) == ["anyrouter", "usage", "--key", "a;b", "--by", "day,model"]


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (9_999, "$0.009999"),
        (10_000, "$0.01"),
        (1_234_565_000, "$1,234.57"),
    ],
)
def test_no_amount_is_shown_as_nothing_that_is_something(micros: int, shown: str) -> None:
    assert dollars(micros) == shown


def upstream(name: str = "acct-b", state: str = "cooling", reason: str = "401") -> dict[str, Any]:
    return {"upstream": name, "state": state, "reason": reason, "cooling": []}


class Gateways:
    """Several processes that look at what each sees of one upstream, and keep together what was told."""

    def __init__(self, count: int = 1) -> None:
        self.each = [Cooling() for _ in range(count)]
        self.sent: set[Identity] = set()
        self.told: list[Alert] = []

    def look(self, at_s: int, *states: str) -> list[str]:
        """Have each look; return the rules of what is new."""
        new: list[Alert] = []
        for cooling, state in zip(self.each, states, strict=True):
            for alert in cooling.look([upstream(state=state)], set(self.sent), NOON_MS + at_s * S):
                if alert.identity not in self.sent:
                    self.sent.add(alert.identity)
                    new.append(alert)
        self.told += new
        return [each.rule for each in new]


def test_an_upstream_is_told_of_after_a_minute_and_when_it_has_been_back_for_one() -> None:
    one = Gateways()
    assert one.look(0, "cooling") == []
    assert one.look(30, "up") == []
    assert one.look(45, "cooling") == []
    assert one.look(61, "cooling") == [COOLS]
    assert one.look(600, "cooling") == []
    assert one.look(630, "up") == []
    assert one.look(661, "up") == [BACK]
    assert one.look(700, "cooling") == []
    assert one.look(761, "cooling") == [COOLS]
    assert [each.period for each in one.told] == ["2026-11-26 #1", "2026-11-26 #1", "2026-11-26 #2"]
    assert "credential" in one.told[0].do


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([], "429"),
        ([None, "claude-haiku-4-5"], "429"),
        (["claude-haiku-4-5"], "429 for claude-haiku-4-5"),
        (["claude-haiku-4-5", "claude-sonnet-4-6"], "429 for 2 models"),
    ],
    ids=["fails", "all-of-it", "one-model", "two-models"],
)
def test_why_names_the_model_where_one_alone_cools(models: list[str | None], said: str) -> None:
    told = upstream(reason="429") | {"cooling": [{"model": each} for each in models]}
    assert reason_of(told) == said


def test_one_outside_of_pools_that_fails_is_told_of_like_one_that_cools() -> None:
    one = Gateways()
    assert one.look(0, "failing") + one.look(61, "failing") == [COOLS]
    assert one.look(75, "up") + one.look(121, "up") == [BACK]


def test_a_failure_that_is_over_within_a_minute_is_nobodys_business() -> None:
    one = Gateways()
    assert one.look(0, "cooling") + one.look(59, "cooling") + one.look(119, "up") == []
    assert one.look(130, "cooling") + one.look(180, "cooling") == []


def test_of_several_gateways_one_tells_it_and_one_tells_that_it_is_over() -> None:
    two = Gateways(2)
    told = [rule for at_s in range(0, 90, 15) for rule in two.look(at_s, "cooling", "cooling")]
    assert told == [COOLS]
    # One is sooner over it; the other has told it all along, and does not tell it again.
    told = [rule for at_s in range(90, 300, 15) for rule in two.look(at_s, "up", "cooling")]
    assert told == [BACK]
    assert [rule for at_s in range(300, 600, 15) for rule in two.look(at_s, "up", "up")] == []


def test_one_that_does_not_see_the_failure_does_not_say_that_it_is_over() -> None:
    two = Gateways(2)
    told = [rule for at_s in range(0, 600, 15) for rule in two.look(at_s, "up", "cooling")]
    assert told == [COOLS]


def test_after_a_restart_it_is_known_what_was_told_and_that_it_is_over_is_told() -> None:
    before = Gateways()
    assert before.look(0, "cooling") + before.look(60, "cooling") == [COOLS]
    after = Gateways()
    after.sent = before.sent
    assert after.look(90, "cooling") + after.look(160, "cooling") == []
    assert after.look(190, "up") + after.look(221, "up") == [BACK]
    again = Gateways()
    again.sent = before.sent
    assert again.look(300, "cooling") + again.look(361, "cooling") == [COOLS]


def test_an_upstream_that_is_taken_out_is_over_too() -> None:
    cooling = Cooling()
    assert cooling.look([upstream()], set(), NOON_MS) == []
    assert len(cooling.look([upstream()], set(), NOON_MS + 60 * S)) == 1
    (told,) = cooling.look([], set(), NOON_MS + 120 * S)
    assert told.text == "upstream acct-b is no longer configured"
