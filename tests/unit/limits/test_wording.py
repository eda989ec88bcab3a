"""What clients are told: messages, and headers as the API and Claude Code know them."""

from typing import Any

import pytest

from proxy.errors import BudgetExceeded, LimitExceeded, LimitsUnavailable
from proxy.limits.local import Local
from proxy.limits.verdict import Metric, Reading, Refusal
from proxy.limits.wording import admitted, fields_of, refused
from tests.unit.limits.making import PERIODS, policy_of, reading_of

NOW_S = PERIODS.day_ends_s - 3600.5  # an hour before midnight of 2026-11-26
NAMES = {"key": "key laptop", "owner": "owner team-a", "all": "global"}


def _readings(used: dict[str, dict[str, int]], **terms: dict[str, Any]) -> tuple[Reading, ...]:
    by_name = {NAMES[which]: each for which, each in used.items()}
    return tuple(
        reading_of(subject, by_name.get(subject.name, {}))
        for subject in policy_of(Local(), "laptop", strict=False, **terms).subjects
    )


def _refused(metric: Metric, spent: bool = False, wait_us: int = 0, **terms: Any) -> Any:  # noqa: FBT001, FBT002 - a table's column
    readings = _readings({}, **terms)
    refusal = Refusal(readings[0].subject, metric, wait_us, spent)
    return refused(refusal, readings, PERIODS, NOW_S, "Ask #ai to raise it.")


def _told(fields: list[tuple[str, str]], prefix: str = "anthropic-ratelimit-") -> dict[str, str]:
    assert len(dict(fields)) == len(fields)
    return {name.removeprefix(prefix): value for name, value in fields if name.startswith(prefix)}


MESSAGES = [
    ("requests", Metric.REQUESTS, {"owner": {"requests_per_minute": 60}}, 1_500_000,
     "requests per minute of owner team-a: 60", "limited_requests", 2),
    ("counts", Metric.COUNTS, {"key": {"requests_per_minute": 60}}, 1,
     "token counts per minute of key laptop: 60", "limited_requests", 1),
    ("input", Metric.INPUT_TOKENS, {"all": {"input_tokens_per_minute": 400_000}}, 1_000_000,
     "input tokens per minute of global: 400000", "limited_input_tokens", 1),
    ("output", Metric.OUTPUT_TOKENS, {"key": {"output_tokens_per_minute": 8_000}}, 61_000_001,
     "output tokens per minute of key laptop: 8000", "limited_output_tokens", 62),
    ("in flight", Metric.IN_FLIGHT, {"key": {"max_in_flight": 8}}, 0,
     "requests in flight of key laptop: 8", "limited_in_flight", 5),
    ("a held budget", Metric.DAY, {"key": {"day_micros": 5_000_000}}, 0,
     "the rest of the budget (daily, $5.00 of key laptop) is held by requests in flight; try again",
     "budget_held", 5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "terms", "wait_us", "message", "cause", "retry_after_s"),
    [row[1:] for row in MESSAGES],
    ids=[row[0] for row in MESSAGES],
)
def test_what_a_retry_cures_says_whose_limit_it_is_and_when_to_come_back(  # noqa: PLR0917 - a table's columns
    metric: Metric,
    terms: dict[str, Any],
    wait_us: int,
    message: str,
    cause: str,
    retry_after_s: int,
) -> None:
    error = _refused(metric, wait_us=wait_us, **terms)
    assert isinstance(error, LimitExceeded)
    assert (error.status, error.error_type, error.cause) == (429, "rate_limit_error", cause)
    assert error.message == message
    headers = error.headers()
    assert headers["retry-after"] == str(retry_after_s)
    assert "x-should-retry" not in headers
    assert not any("unified" in name for name in headers)


SPENT = [
    ("daily", Metric.DAY, {"key": {"day_micros": 5_000_000}},
     "daily, $5.00 of key laptop; resets 2026-11-27 00:00 UTC", PERIODS.day_ends_s, 3601),
    ("monthly", Metric.MONTH, {"owner": {"month_micros": 500_000_000}},
     "monthly, $500.00 of owner team-a; resets 2026-12-01 00:00 UTC", PERIODS.month_ends_s, 349_201),
    ("of nothing", Metric.DAY, {"key": {"day_micros": 0}},
     "daily, $0.00 of key laptop; resets 2026-11-27 00:00 UTC", PERIODS.day_ends_s, 3601),
    ("of a part of a cent", Metric.DAY, {"key": {"day_micros": 1_234_500}},
     "daily, $1.2345 of key laptop; resets 2026-11-27 00:00 UTC", PERIODS.day_ends_s, 3601),
]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "terms", "words", "resets_s", "retry_after_s"),
    [row[1:] for row in SPENT],
    ids=[row[0] for row in SPENT],
)
def test_a_spent_budget_names_period_amount_subject_reset_and_whom_to_ask(
    metric: Metric, terms: dict[str, Any], words: str, resets_s: int, retry_after_s: int
) -> None:
    error = _refused(metric, spent=True, **terms)
    assert isinstance(error, BudgetExceeded)
    assert (error.status, error.error_type, error.cause) == (429, "billing_error", "budget_spent")
    assert error.message == f"spend limit reached ({words}). Ask #ai to raise it."
    headers = error.headers()
    assert headers["retry-after"] == str(retry_after_s)
    assert headers["x-should-retry"] == "false"
    period = {"overage-scope": "group_pool"} if "owner" in terms else {}
    assert _told(list(headers.items()), "anthropic-ratelimit-unified-") == period | {
        "status": "rejected",
        "reset": str(resets_s),
        "overage-reset": str(resets_s),
        "overage-utilization": "1",
        "overage-surpassed-threshold": "1",
        "overage-period": "monthly" if metric is Metric.MONTH else "daily",
        "overage-disabled-reason": "org_spend_cap_reached",
    }


def test_without_a_contact_the_message_ends_with_the_reset() -> None:
    (reading,) = _readings({}, key={"day_micros": 1})
    refusal = Refusal(reading.subject, Metric.DAY, spent=True)
    error = refused(refusal, (reading,), PERIODS, NOW_S)
    assert error.message.endswith("resets 2026-11-27 00:00 UTC)")


def test_after_its_end_a_period_is_waited_for_a_second_at_least() -> None:
    (reading,) = _readings({}, key={"day_micros": 1})
    refusal = Refusal(reading.subject, Metric.DAY, spent=True)
    assert refused(refusal, (reading,), PERIODS, PERIODS.day_ends_s + 9).retry_after_s == 1


def test_each_rate_is_told_with_what_is_left_and_when_it_is_full() -> None:
    readings = _readings(
        {"key": {"requests_us": 1_000_000, "input_us": 30_000_000, "output_us": 500_000}},
        key={
            "requests_per_minute": 60,
            "input_tokens_per_minute": 1000,
            "output_tokens_per_minute": 100,
        },
    )
    assert _told(fields_of(admitted(readings, PERIODS, NOW_S))) == {
        "requests-limit": "60",
        "requests-remaining": "59",
        "requests-reset": "2026-11-26T23:00:01Z",
        "input-tokens-limit": "1000",
        "input-tokens-remaining": "500",
        "input-tokens-reset": "2026-11-26T23:00:30Z",
        "output-tokens-limit": "100",
        "output-tokens-remaining": "99",
        "output-tokens-reset": "2026-11-26T23:00:00Z",
        "tokens-limit": "1000",
        "tokens-remaining": "500",
        "tokens-reset": "2026-11-26T23:00:30Z",
    }


def test_of_several_subjects_the_one_with_the_least_left_is_told() -> None:
    readings = _readings(
        {"key": {"requests_us": 1_000_000}, "owner": {"requests_us": 59_900_000}},
        key={"requests_per_minute": 60},
        owner={"requests_per_minute": 6000},
        all={"requests_per_minute": 600},
    )
    told = _told(fields_of(admitted(readings, PERIODS, NOW_S)))
    assert (told["requests-limit"], told["requests-remaining"]) == ("6000", "10")


def test_counting_tokens_is_told_its_own_requests_and_no_budget() -> None:
    readings = _readings(
        {"key": {"requests_us": 30_000_000, "counts_us": 1_000_000}},
        key={"requests_per_minute": 60, "day_micros": 10},
    )
    told = _told(fields_of(admitted(readings, PERIODS, NOW_S, counting=True)))
    assert told["requests-remaining"] == "59"
    assert not any(name.startswith("unified") for name in told)


def test_a_rate_in_debt_is_told_as_nothing_left() -> None:
    readings = _readings({"key": {"output_us": 90_000_000}}, key={"output_tokens_per_minute": 100})
    told = _told(fields_of(admitted(readings, PERIODS, NOW_S)))
    assert (told["output-tokens-remaining"], told["output-tokens-reset"]) == (
        "0",
        "2026-11-26T23:01:30Z",
    )


def test_what_is_refused_is_told_what_is_left_of_its_other_rates() -> None:
    headers = _refused(
        Metric.IN_FLIGHT, key={"requests_per_minute": 60, "max_in_flight": 1}
    ).headers()
    assert headers["anthropic-ratelimit-requests-remaining"] == "60"


UNIFIED: list[tuple[str, int, str, str, str | None]] = [
    ("nothing", 0, "0.00", "allowed", None),
    ("a third", 333_333, "0.33", "allowed", None),
    ("just below a threshold", 749_999, "0.74", "allowed", None),
    ("a threshold", 750_000, "0.75", "allowed_warning", "0.75"),
    ("the second threshold", 950_000, "0.95", "allowed_warning", "0.95"),
    ("all but a micro-dollar", 999_999, "0.99", "allowed_warning", "0.95"),
    ("all of it", 1_000_000, "0.99", "allowed_warning", "0.95"),
    ("more than it", 1_100_000, "0.99", "allowed_warning", "0.95"),
]


@pytest.mark.parametrize(
    ("spent", "share", "status", "passed"),
    [row[1:] for row in UNIFIED],
    ids=[row[0] for row in UNIFIED],
)
def test_a_budget_is_told_in_the_words_of_claude_code(
    spent: int, share: str, status: str, passed: str | None
) -> None:
    readings = _readings(
        {"key": {"day_micros": spent, "held_micros": 500_000}}, key={"day_micros": 1_000_000}
    )
    expected = {
        "status": status,
        "overage-status": status,
        "representative-claim": "overage",
        "overage-utilization": share,
        "reset": str(PERIODS.day_ends_s),
        "overage-reset": str(PERIODS.day_ends_s),
    }
    if passed:
        expected["overage-surpassed-threshold"] = passed
    assert (
        _told(fields_of(admitted(readings, PERIODS, NOW_S)), "anthropic-ratelimit-unified-")
        == expected
    )


def test_the_fullest_budget_is_told_and_said_to_be_shared_when_it_is() -> None:
    readings = _readings(
        {"key": {"day_micros": 1, "month_micros": 1}, "owner": {"month_micros": 8}},
        key={"day_micros": 10, "month_micros": 10},
        owner={"day_micros": 100, "month_micros": 10},
    )
    told = _told(fields_of(admitted(readings, PERIODS, NOW_S)), "anthropic-ratelimit-unified-")
    assert told["overage-utilization"] == "0.80"
    assert told["overage-scope"] == "group_pool"
    assert told["reset"] == str(PERIODS.month_ends_s)


def test_a_budget_of_nothing_is_full() -> None:
    readings = _readings({}, key={"day_micros": 0})
    told = _told(fields_of(admitted(readings, PERIODS, NOW_S)), "anthropic-ratelimit-unified-")
    assert told["overage-utilization"] == "0.99"


def test_what_is_only_watched_is_not_told() -> None:
    readings = _readings(
        {},
        key={
            "requests_per_minute": 1,
            "day_micros": 1,
            "limits_shadow": True,
            "budgets_shadow": True,
        },
    )
    assert admitted(readings, PERIODS, NOW_S) == b""


@pytest.mark.parametrize("budget", [False, True])
def test_what_cannot_be_known_is_a_503_that_claude_code_shows_at_once_for_a_budget(
    *, budget: bool
) -> None:
    headers = LimitsUnavailable(budget=budget).headers()
    assert headers.pop("retry-after") == "2"
    assert headers == ({
        "x-should-retry": "false",
        "anthropic-ratelimit-unified-overage-disabled-reason": "fetch_error",
    } if budget else {})  # fmt: skip
