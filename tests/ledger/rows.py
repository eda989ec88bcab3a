"""A ledger in a test, and waiting for what its threads do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config import Store
from proxy.ledger.ledger import Ledger

if TYPE_CHECKING:
    from proxy.store.spent import Spent

_WITHIN_S = 60
_FOR_EVER_DAYS = 100_000


@asynccontextmanager
async def ledger(
    url: str,
    folder: Path,
    *,
    max_bytes: int = 1 << 30,
    on_spent: "Callable[[Spent], None] | None" = None,
) -> AsyncIterator[Ledger]:
    """Run a ledger whose spool is in a folder."""
    store = Store(
        url=url, state_dir=str(folder), spool_max_bytes=max_bytes, retention_days=_FOR_EVER_DAYS
    )
    running = Ledger(store, on_spent)
    try:
        yield running
    finally:
        await running.close(_WITHIN_S)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    ends_s = time.monotonic() + _WITHIN_S
    while not holds():
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.02)  # another thread's, or process's
