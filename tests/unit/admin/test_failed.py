"""Each failure has somebody whose fault it is, and something to do about it."""

from typing import Any

import pytest

from proxy.admin.failed import FAULTS, by_cause, by_client, fault_of
from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_US, LOST
from proxy.store.views import Failures


def failures(cause: str, requests: int, **fields: Any) -> Failures:
    said = {"upstream": "acct-a", "client": "claude-cli/2.1.332", "status": 502, "retried": 1}
    ids = {"sample_id": f"req_{requests}", "sample_upstream_id": None}
    return Failures(
        **{
            "cause": cause,
            "requests": requests,
            "first_ms": 10,
            "last_ms": 20,
            **said,
            **ids,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        ("upstream_timeout", "upstream"),
        ("upstream_error", "upstream"),
        ("limited_in_flight", "limits"),
        ("budget_spent", "limits"),
        ("client_closed", "client"),
        ("invalid_request", "client"),
        ("model_forbidden", "client"),
        ("gateway_killed", "gateway"),
        ("store_unavailable", "gateway"),
        ("limits_unavailable", "gateway"),
        ("spool_full", "gateway"),
    ],
)
def test_whose_fault_it_is(cause: str, fault: str) -> None:
    assert fault_of(cause) == fault


def test_every_cause_has_somebody_whose_fault_it_is_and_what_to_do() -> None:
    found = by_cause([failures(cause, 1) for cause in (*Cause, *BROKEN_BY_US, LOST)])
    assert {each.fault for each in found} == set(FAULTS)
    assert all(each.do and "NAME" not in each.do for each in found)


def test_failures_are_one_by_cause_and_upstream_and_nothing_of_them_is_lost() -> None:
    given = [
        failures("upstream_timeout", 5, status=504, first_ms=3, sample_upstream_id="req_up"),
        failures("upstream_timeout", 2, status=None, client=None, last_ms=99),
        failures("upstream_timeout", 4, upstream="acct-b"),
        failures("client_closed", 40),
    ]
    first, second, third = by_cause(given)
    assert (first.upstream, first.requests, first.retried) == ("acct-a", 7, 2)
    assert (first.first_ms, first.last_ms, first.statuses) == (3, 99, (504, None))
    assert (first.ids, first.upstream_ids) == (("req_5", "req_2"), ("req_up",))
    assert (second.upstream, third.cause) == ("acct-b", "client_closed")
    clients = by_client(given)
    assert [(each.client, each.cause, each.requests) for each in clients] == [
        ("claude-cli/2.1.332", "client_closed", 40),
        ("claude-cli/2.1.332", "upstream_timeout", 9),
        (None, "upstream_timeout", 2),
    ]
    assert sum(each.requests for each in clients) == sum(each.requests for each in given)


@pytest.mark.parametrize("cause", ["budget_spent", "limited_requests", "limits_unavailable"])
def test_what_is_refused_before_anything_is_sent_is_of_no_upstream(cause: str) -> None:
    (found,) = by_cause([failures(cause, 2), failures(cause, 1, upstream="acct-b")])
    assert (found.upstream, found.requests) == (None, 3)
