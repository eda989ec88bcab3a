"""A store whose transactions take for ever is noticed by no answer.

Elsewhere the advice is to do without the log, since it makes answers slow: BerriAI/litellm#27735.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa

from tests.ledger.rows import until
from tests.store.rows import opened
from tests.tenancy.conftest import Start, Tenant

ASKED = 200


@contextmanager
def _sqlite_taken(url: str) -> Iterator[None]:
    holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def _postgres_taken(url: str) -> Iterator[None]:
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE request IN ACCESS EXCLUSIVE MODE"))
        yield


@pytest.fixture
def taken(store_url: str) -> Callable[[], AbstractContextManager[None]]:
    """Let no transaction of the gateway's come to its end, for as long as the context lasts."""
    take = _sqlite_taken if store_url.startswith("sqlite") else _postgres_taken
    return lambda: take(store_url)


class Counter:
    """Counts the calls of Python functions in this thread, which is the event loop's: nobody else's work is in it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _frame: object, event: str, _argument: object) -> None:
        self.calls += event == "call"


async def _calls(started: Tenant) -> list[int]:
    """Ask for messages, one after the other; return what each took: calls of client, gateway and upstream together."""
    each, counter = list[int](), Counter()
    sys.setprofile(counter)
    try:
        for _ in range(ASKED):
            counter.calls = 0
            async with started.gateway.post() as response:
                assert response.status == 200
                await response.read()
            each.append(counter.calls)
    finally:
        sys.setprofile(None)
    return each


def _p99(calls: list[int]) -> int:
    return sorted(calls)[len(calls) * 99 // 100]


@pytest.mark.no_cover
async def test_answers_take_as_long_while_no_transaction_ends(
    tenant: Start, taken: Callable[[], AbstractContextManager[None]]
) -> None:
    """What they take is counted, not timed: what else the machine does would be in that."""
    async with tenant() as started:
        tenancy = started.gateway.gateway.tenancy
        assert tenancy is not None
        ledger = tenancy.ledger
        assert ledger is not None
        await _calls(started)  # what is done but once
        free = await _calls(started)
        await until(lambda: not ledger.status().spooled_rows)
        stored = ledger.status().stored_rows
        with taken():
            others_s = time.process_time() - time.thread_time()
            own_s = time.thread_time()
            slow = await _calls(started)
            others_s = time.process_time() - time.thread_time() - others_s
            own_s = time.thread_time() - own_s
            # All are answered before the transaction ends: who waited for it would wait for ever.
            assert ledger.status().stored_rows == stored
            assert ledger.status().spooled_rows == ASKED
        await until(lambda: ledger.status().stored_rows == 3 * ASKED)
    calls = f"p99: {_p99(free)} calls, with a store that stands still {_p99(slow)}"
    print(f"{calls}, and {others_s / own_s:.1%} in other threads")  # noqa: T201 - to look at
    assert 0.9 * _p99(free) <= _p99(slow) <= 1.1 * _p99(free)
    # Nor does the thread that waits for the store keep the event loop's from running.
    assert others_s <= 0.2 * own_s
