"""Refusals beyond 600 of a key, a cause and a minute share rows; every one is counted."""

from typing import Any

import msgspec
import pytest

from proxy.causes import Cause
from proxy.ledger.folding import MAX_A_MINUTE, MAX_OF_REFUSED_KEY, Folding
from proxy.ledger.row import Row

REFUSED = Row(
    id="0" * 28,
    at_ms=0,
    key="laptop",
    endpoint="messages",
    owner="team",
    model="opus",
    status=429,
    cause="limited_requests",
    session_id="s",
)


def _row(number: int, **fields: Any) -> Row:
    return msgspec.structs.replace(REFUSED, id=f"{number:028x}", **fields)


def _through(folding: Folding, rows: list[Row]) -> list[Row]:
    return [row for row in rows if folding.take(row) is not None]


def test_the_first_600_keep_rows_of_their_own() -> None:
    rows = [_row(n) for n in range(MAX_A_MINUTE)]
    folding = Folding()
    assert _through(folding, rows) == rows
    assert folding.flush() == []


def test_of_a_key_that_opens_nothing_a_few_have_rows_of_their_own_and_all_are_counted() -> None:
    folding = Folding()
    rows = [_row(n, status=401, cause=Cause.UNAUTHENTICATED) for n in range(MAX_A_MINUTE)]
    assert _through(folding, rows) == rows[:MAX_OF_REFUSED_KEY]
    assert sum(each.requests for each in folding.flush()) == MAX_A_MINUTE - MAX_OF_REFUSED_KEY


def test_what_is_beyond_shares_a_row_that_says_what_all_have_in_common() -> None:
    folding = Folding()
    _through(folding, [_row(n) for n in range(MAX_A_MINUTE + 5)])
    (shared,) = folding.flush()
    assert shared == Row(
        id=_row(MAX_A_MINUTE).id,
        at_ms=0,
        key="laptop",
        endpoint="messages",
        owner="team",
        status=429,
        cause="limited_requests",
        requests=5,
    )
    assert folding.flush() == []


@pytest.mark.parametrize(
    "fields",
    [{"key": "other"}, {"cause": "budget_spent"}, {"at_ms": 60_000}],
    ids=["key", "cause", "minute"],
)
def test_each_key_cause_and_minute_has_its_own_600(fields: dict[str, Any]) -> None:
    folding = Folding()
    _through(folding, [_row(n) for n in range(MAX_A_MINUTE + 1)])
    others = [_row(n, **fields) for n in range(1_000, 1_000 + MAX_A_MINUTE + 2)]
    assert len(_through(folding, others)) == MAX_A_MINUTE
    assert sorted(row.requests for row in folding.flush()) == [1, 2]


@pytest.mark.parametrize(
    "fields",
    [
        {"cause": "upstream_error", "status": 529},
        {"cause": "client_closed", "status": None},
        {"cause": "limited_requests", "usage_source": "reported"},
        {"cause": None, "status": 200},
    ],
    ids=["failed", "left", "billed", "good"],
)
def test_what_is_no_mere_refusal_always_has_a_row_of_its_own(fields: dict[str, Any]) -> None:
    rows = [_row(n, **fields) for n in range(2 * MAX_A_MINUTE)]
    assert _through(Folding(), rows) == rows


def test_all_are_counted_whenever_shared_rows_are_taken() -> None:
    folding = Folding()
    kept: list[Row] = []
    for n in range(5_000):
        kept += _through(folding, [_row(n, at_ms=n * 20)])
        if n % 50 == 0:
            kept += folding.flush()
    kept += folding.flush()
    assert sum(row.requests for row in kept) == 5_000
    assert len({row.id for row in kept}) == len(kept)
