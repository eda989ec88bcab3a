"""What fails, and what is answered: the cells of that table in docs/behaviour.md."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy import Budgets, Key, Store
from proxy.access.keys import digest
from proxy.sandbox import Knobs, serve_sandbox
from tests.ledger.rows import until
from tests.store.rows import days, opened, stored
from tests.support.gateways import BODY, KEY, Running, config_for, running
from tests.support.postgres import Postgres

SPENT_KEY, CLOSED_KEY, UNKNOWN_KEY = (
    "ar-spent-0123456789",
    "ar-closed-012345678",
    "ar-unknown-01234567",
)
MUCH = 10**12
KEYS = (
    Key("known", digest(KEY)),
    Key("spent", digest(SPENT_KEY), budgets=Budgets(day_micros=0)),
    Key("closed", digest(CLOSED_KEY), budgets=Budgets(day_micros=MUCH, fail="closed")),
)


class Answer(NamedTuple):
    """A response: its status, the type of its error, and when to come back."""

    status: int
    error: str = ""
    retry_after: str = ""


SERVED = Answer(200)
NO_KEY = Answer(401, "authentication_error")
LATER = Answer(503, "api_error", "2")


async def _ask(gateway: Running, key: str) -> Answer:
    async with gateway.post(BODY, headers={"x-api-key": key}) as response:
        body = await response.json()
        error = body["error"]["type"] if body["type"] == "error" else ""
        return Answer(response.status, error, response.headers.get("retry-after", ""))


async def _is_ready(gateway: Running) -> bool:
    async with gateway.session.get(gateway.url + "/readyz") as response:
        return response.status == 200


@asynccontextmanager
async def _gateway(url: str, folder: Path, keys: tuple[Key, ...] = KEYS) -> AsyncIterator[Running]:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        upstream = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(
            config_for(upstream, keys=keys, store=Store(url, str(folder)))
        ) as gateway:
            yield gateway
    finally:
        await sandbox.cleanup()


async def _until_keys_are_known(gateway: Running) -> None:
    tenancy = gateway.gateway.tenancy
    assert tenancy is not None
    managed = tenancy.managed
    assert managed is not None
    await until(lambda: managed.is_fresh and tenancy.admission.sums_known.is_set())


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Postgres]:
    """Return the server, which is started again whatever a test does with it."""
    yield postgres
    if not postgres.runs:
        postgres.start()


async def test_a_store_that_goes_away_is_noticed_by_unknown_keys_only(
    server: Postgres, postgres_store: str, tmp_path: Path
) -> None:
    """Elsewhere an outage is hours of "invalid API key": BerriAI/litellm#29986, #38121."""
    async with _gateway(postgres_store, tmp_path) as gateway:
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        server.stop()
        assert await _ask(gateway, KEY) == SERVED
        tenancy = gateway.gateway.tenancy
        assert tenancy is not None
        managed = tenancy.managed
        assert managed is not None
        await until(lambda: not managed.is_fresh)
        assert await _ask(gateway, UNKNOWN_KEY) == LATER
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, CLOSED_KEY) == SERVED
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        server.start()
        await until(lambda: managed.is_fresh)
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
    with opened(postgres_store) as engine:
        assert [each.key for each in stored(engine)] == ["known", "known", "closed", "spent"]
        assert sum(day["requests"] for day in days(engine)) == 4


async def test_a_start_without_its_store_serves_whom_it_knows_and_recovers(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    url = f"sqlite:///{barred / 'store.db'}"
    async with _gateway(url, tmp_path) as gateway:
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == LATER
        assert await _ask(gateway, CLOSED_KEY) == LATER
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        barred.unlink()
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, CLOSED_KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        tenancy = gateway.gateway.tenancy
        assert tenancy is not None
        ledger = tenancy.ledger
        assert ledger is not None
        await until(lambda: ledger.status().stored_rows == 4)


async def test_a_gateway_that_can_know_no_key_is_not_ready_until_it_can(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    async with _gateway(f"sqlite:///{barred / 'store.db'}", tmp_path, keys=()) as gateway:
        assert not await _is_ready(gateway)
        barred.unlink()
        async with asyncio.timeout(60):
            while not await _is_ready(gateway):  # noqa: ASYNC110 - see below
                await asyncio.sleep(0.05)  # the probe's own view: there is no event to wait for


async def test_a_full_disk_is_noticed_by_nobody_who_asks(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = True
    write = os.write

    def write_unless_full(file: int, data: bytes) -> int:
        if is_full:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr("proxy.ledger.spool.os.write", write_unless_full)
    async with _gateway(store_url, tmp_path / "state") as gateway:
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        is_full = False
    with opened(store_url) as engine:
        assert [each.key for each in stored(engine)] == ["known", "spent"]
