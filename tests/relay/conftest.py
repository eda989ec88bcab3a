"""Every test here: nothing goes wrong unnoticed in the loop."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from proxy.aiohttp_fast import IS_FAST

# What the plain twins cannot do, as their docstrings say: tests by name, and files of them.
FAST_ONLY = {
    # It uses no connection twice, so that none is stale, late or shared.
    "test_stale_connections.py",
    # It cannot tell a reset from the end of a body that only the end of the connection frames.
    "test_an_error_cut_by_a_reset_is_a_502_however_it_was_framed",
    # aiohttp reads interim heads itself, however many come.
    "test_sixteen_interim_heads_are_taken_and_no_more",
    # aiohttp may find the connection closing while it sends the request, and then does not say why.
    "test_a_server_that_wants_a_client_certificate_is_told_as_that",
    # aiohttp leaves out header bytes that are not UTF-8.
    "test_header_bytes_above_ascii_cross_as_they_came",
    "test_header_bytes_above_ascii_of_a_stream_cross_as_they_came",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the plain twins, leave out what only the fast ones do."""
    if IS_FAST:
        return
    left_out = [
        item for item in items if {item.path.name, getattr(item, "originalname", "")} & FAST_ONLY
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Leave what is imported out of the collections after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest_asyncio.fixture(autouse=True)
async def _nothing_unnoticed(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail a test that leaves an exception nobody retrieved, or has aiohttp log a traceback."""
    unnoticed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unnoticed.append(context))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert unnoticed == []
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
