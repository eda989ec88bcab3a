"""What several workers tell of one subject's limits and budgets is one answer, in which nothing is left out."""

from typing import Any

from proxy.admin.added import added, page_of


def told(state: str = "local", in_flight: int = 1, spent: int = 10, left: int = 50) -> Any:
    return {
        "type": "limits",
        "subject": "key laptop",
        "limits": {
            "requests_per_minute": {"limit": 60, "remaining": left, "reset": f"2026-01-01T{left}"},
            "max_in_flight": {"limit": 8, "in_flight": in_flight},
        },
        "budgets": {
            "day": {
                "limit_micros": 100,
                "spent_micros": spent,
                "held_micros": in_flight,
                "resets_at": "2026-01-02T00:00:00Z",
            }
        },
        "state": state,
    }


def test_what_each_has_taken_is_added_and_what_was_spent_is_what_the_ledger_told_last() -> None:
    one = added([told(), told(in_flight=3, spent=40, left=20)])
    assert one["limits"] == {
        "requests_per_minute": {"limit": 60, "remaining": 10, "reset": "2026-01-01T50"},
        "max_in_flight": {"limit": 8, "in_flight": 4},
    }
    assert one["budgets"]["day"] | {"resets_at": ""} == {
        "limit_micros": 100,
        "spent_micros": 40,
        "held_micros": 4,
        "resets_at": "",
    }
    assert one["state"] == "local"


def test_of_more_than_a_limit_nothing_is_left() -> None:
    one = added([told(left=0), told(left=0)])
    assert one["limits"]["requests_per_minute"]["remaining"] == 0


def test_shared_counts_are_told_once_by_whoever_still_has_them() -> None:
    shared = told("shared", in_flight=5)
    assert added([told("local_in_outage"), shared, told("shared", in_flight=4)]) == shared


def test_one_worker_is_told_as_it_tells() -> None:
    assert added([told()]) == told()


def test_a_worker_that_does_not_know_a_limit_yet_changes_nothing_of_it() -> None:
    behind = {**told(), "limits": {}, "budgets": {}}
    assert added([told(), behind]) == told()


def page(*subjects: str, more: bool = False) -> Any:
    return {"data": [{**told(), "subject": name} for name in subjects], "has_more": more}


def test_pages_of_several_workers_are_one_in_which_nobody_is_left_out() -> None:
    one = page_of([page("key a", "key c", more=True), page("key b", "key c")], 2)
    assert [each["subject"] for each in one["data"]] == ["key a", "key b"]
    assert (one["has_more"], one["next"]) == (True, "key b")
    last = page_of([page("key c"), page("key c", "key d")], 2)
    assert [each["limits"]["max_in_flight"]["in_flight"] for each in last["data"]] == [2, 1]
    assert (last["has_more"], last["next"]) == (False, None)
