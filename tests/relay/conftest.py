"""Every test here: nothing goes wrong unnoticed in the loop."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Leave what is imported out of the collections after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest_asyncio.fixture(autouse=True)
async def _nothing_unnoticed(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail a test that leaves an exception nobody retrieved, or has a traceback logged that it does not clear."""
    unnoticed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unnoticed.append(context))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert unnoticed == []
    # Of debug level are those of clients that left.
    logged = [each for each in caplog.get_records("call") if each.levelno > logging.DEBUG]
    assert [each.getMessage() for each in logged if each.exc_info] == []
