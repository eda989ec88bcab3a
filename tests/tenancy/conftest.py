"""A gateway with a ledger, in front of a sandbox."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy import Budgets, Key, RateLimits, Store
from proxy.access.keys import digest
from proxy.ledger.row import Row
from proxy.sandbox import SERVED, Knobs, Record, serve_sandbox
from proxy.store.engine import open_engine
from tests.ledger.rows import until
from tests.store.rows import stored
from tests.support.gateways import KEY, Running, config_for, running

WITHIN_S = 30.0


class Tenant:
    """A running gateway, its store, and what the sandbox behind it has served, if that is recorded."""

    def __init__(self, gateway: Running, store: Store, served: Record | None) -> None:
        self.gateway = gateway
        self.served = served
        self._store = store

    async def rows(self, count: int) -> list[Row]:
        """Return the rows of the store, once there are so many; more would be a defect."""
        engine = open_engine(self._store.url)
        try:
            ends_s = time.monotonic() + WITHIN_S
            while True:
                found = await asyncio.to_thread(stored, engine)
                if len(found) >= count or time.monotonic() > ends_s:
                    assert len(found) == count
                    return found
                await asyncio.sleep(0.02)  # the ledger writes by itself
        finally:
            engine.dispose()


Start = Callable[..., contextlib.AbstractAsyncContextManager[Tenant]]


@pytest.fixture
def tenant(tmp_path: Path, store_url: str) -> Start:
    """Start a gateway whose one key, `tester`, has the given limits and budgets."""

    @contextlib.asynccontextmanager
    async def start(
        *,
        limits: RateLimits | None = None,
        budgets: Budgets | None = None,
        knobs: Knobs | None = None,
        upstream: str | None = None,
        **changes: Any,
    ) -> AsyncIterator[Tenant]:
        sandbox = await serve_sandbox("127.0.0.1", 0, knobs or Knobs())
        try:
            url = upstream or f"http://127.0.0.1:{sandbox.addresses[0][1]}"
            store = Store(store_url, str(tmp_path / "state"))
            key = Key("tester", digest(KEY), limits=limits, budgets=budgets, owner="team-a")
            config = config_for(url, **{"keys": (key,), "store": store, **changes})
            async with running(config) as gateway:
                tenancy = gateway.gateway.tenancy
                assert tenancy is not None
                async with asyncio.timeout(WITHIN_S):
                    await tenancy.admission.sums_known.wait()
                managed = tenancy.managed
                assert managed is not None
                await until(lambda: managed.is_fresh)
                assert isinstance(sandbox.app, web.Application)
                yield Tenant(gateway, store, sandbox.app.get(SERVED))
        finally:
            await sandbox.cleanup()

    return start
