"""Just after the start, whoever brings a key of the store waits for its keys; a store that is away holds nobody up."""

import asyncio
import time
from pathlib import Path

import pytest

from proxy import Store
from proxy.access.keys import digest
from proxy.access.managed_keys import ManagedKeys
from proxy.access.records import Changes, KeyRecord
from proxy.store.keys import Keys
from proxy.tenancy import first_keys
from proxy.tenancy.first_keys import FirstKeys
from tests.store.rows import opened
from tests.support.gateways import Running, config_for, running

KEY = "ar-of-the-store-0123456789"


async def _asked(gateway: Running, path: str) -> int:
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with gateway.session.get(gateway.url + path, headers=headers) as response:
        await response.read()
        return response.status


async def test_the_first_request_is_served_that_brings_a_key_of_the_store(
    store_url: str, tmp_path: Path
) -> None:
    with opened(store_url) as engine:
        Keys(engine, "test").create(KeyRecord(name="laptop"), digest(KEY), 1)
    config = config_for("http://127.0.0.1:9", store=Store(store_url, str(tmp_path)))
    async with running(config) as gateway:
        assert await _asked(gateway, "/v1/models") == 200
        assert await _asked(gateway, "/readyz") == 200


async def test_a_store_that_fails_lets_nobody_wait_longer(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    store = Store(f"sqlite:///{barred / 'store.db'}", str(tmp_path))
    async with running(config_for("http://127.0.0.1:9", store=store)) as gateway:
        assert await _asked(gateway, "/v1/models") == 503
        assert await _asked(gateway, "/readyz") == 200


async def test_who_waits_goes_on_as_soon_as_the_keys_are_there() -> None:
    managed = ManagedKeys(time.monotonic)
    first = FirstKeys(managed)
    assert not await first.came()
    first.begin()
    assert first.are_wanted(has_others=True)
    waiting = asyncio.create_task(first.came())
    await asyncio.sleep(0)
    assert not waiting.done()
    managed.apply(Changes(1))
    first.settled.set()
    assert await waiting
    assert not first.are_wanted(has_others=False)
    assert not await first.came()


async def test_a_store_that_says_nothing_is_not_waited_for_any_more_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_keys, "_WITHIN_S", 0.01)
    first = FirstKeys(ManagedKeys(time.monotonic))
    first.begin()
    assert not await first.came()
    assert not first.are_wanted(has_others=True)
    assert first.are_wanted(has_others=False)


async def test_without_a_store_there_is_nothing_to_wait_for() -> None:
    first = FirstKeys(None)
    first.begin()
    assert not await first.came()
    assert not first.are_wanted(has_others=False)
