"""What fails, and what is answered: the cells of that table in docs/behaviour.md.

Those of a model without a price and of a defect in billing are in `test_prices_at_requests.py`, those of a prices file
that cannot be used in `tests/unit/config_file`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from proxy import Admin, AdminKey, Budgets, Key, Redis, Store
from proxy.access.keys import digest
from proxy.admin.app import create_app_for
from proxy.ledger.first_file import make_file
from proxy.sandbox import Knobs, serve_sandbox
from tests.admin.conftest import WRITER, Asking
from tests.ledger.rows import until
from tests.store.rows import days, opened, stored
from tests.support.gateways import BODY, KEY, Running, config_for, running
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer

SPENT_KEY, OPEN_KEY, CLOSED_KEY, UNKNOWN_KEY = (
    "ar-spent-0123456789",
    "ar-open-01234567890",
    "ar-closed-012345678",
    "ar-unknown-01234567",
)
MUCH = 10**12
KEYS = (
    Key("known", digest(KEY)),
    Key("spent", digest(SPENT_KEY), budgets=Budgets(day_micros=0)),
    Key("open", digest(OPEN_KEY), budgets=Budgets(day_micros=MUCH)),
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
async def _gateway(
    url: str, folder: Path, keys: tuple[Key, ...] = KEYS, **changes: Any
) -> AsyncIterator[Running]:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        config = config_for(
            f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            keys=keys,
            store=Store(url, str(folder)),
            admin=Admin(keys=(AdminKey("ops", digest(WRITER), "write"),)),
            **changes,
        )
        async with running(config) as gateway:
            yield gateway
    finally:
        await sandbox.cleanup()


@asynccontextmanager
async def _admin(gateway: Running) -> AsyncIterator[Asking]:
    """Serve the admin API of a gateway."""
    runner = web.AppRunner(create_app_for(gateway.gateway))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield Asking(f"http://127.0.0.1:{port}/admin/v1", gateway.session)
    finally:
        await runner.cleanup()


async def _needs_the_store(ask: Asking) -> bool:
    """Return whether all that needs the store is a 503 that says so."""
    told = [
        await ask("GET", "/usage"),
        await ask("GET", "/requests"),
        await ask("POST", "/keys", {"name": "laptop"}),
    ]
    return all(status == 503 and "store" in answer["error"]["message"] for status, answer in told)


async def _until_keys_are_known(gateway: Running) -> None:
    tenancy = gateway.gateway.tenancy
    assert tenancy is not None
    managed = tenancy.managed
    assert managed is not None
    await until(lambda: managed.is_fresh and tenancy.admission.sums_known.is_set())


async def test_a_store_that_goes_away_is_noticed_by_unknown_keys_only(
    postgres_again: Postgres, postgres_store: str, tmp_path: Path
) -> None:
    """Elsewhere an outage is hours of "invalid API key": BerriAI/litellm#29986, #38121."""
    async with _gateway(postgres_store, tmp_path) as gateway, _admin(gateway) as ask:
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        postgres_again.stop()
        assert await _ask(gateway, KEY) == SERVED
        assert await _needs_the_store(ask)
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
        _, backlog = await ask("GET", "/ledger")
        assert (backlog["store_up"], backlog["spooled_rows"], backlog["lost_rows"]) == (False, 4, 0)
        postgres_again.start()
        await until(lambda: managed.is_fresh)
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        assert (await ask("POST", "/keys", {"name": "laptop"}))[0] == 201
    with opened(postgres_store) as engine:
        assert [each.key for each in stored(engine)] == ["known", "known", "closed", "spent"]
        assert sum(day["requests"] for day in days(engine)) == 4


class Outage(NamedTuple):
    """A store that is away.

    Attributes:
        url: of it.
        end: brings it back.
    """

    url: str
    end: Callable[[], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Outage:
    """Take a store away, of each engine in turn."""
    if request.param == "sqlite":
        barred = tmp_path / "barred"
        barred.write_text("no folder")

        def end() -> None:
            barred.unlink()
            make_file(barred / "store.db")  # as a command does: what serves makes no store

        return Outage(f"sqlite:///{barred / 'store.db'}", end)
    postgres_again: Postgres = request.getfixturevalue("postgres_again")
    url: str = request.getfixturevalue("postgres_store")
    postgres_again.stop()
    return Outage(url, postgres_again.start)


async def test_a_start_without_its_store_serves_whom_it_knows_and_recovers(
    outage: Outage, tmp_path: Path
) -> None:
    async with _gateway(outage.url, tmp_path) as gateway, _admin(gateway) as ask:
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == LATER
        assert await _ask(gateway, CLOSED_KEY) == LATER
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        assert await _needs_the_store(ask)
        outage.end()
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, CLOSED_KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        tenancy = gateway.gateway.tenancy
        assert tenancy is not None
        ledger = tenancy.ledger
        assert ledger is not None
        await until(lambda: ledger.status().stored_rows == 4)


@pytest.mark.parametrize("at_start", [False, True], ids=["later", "at the start"])
async def test_without_redis_each_limit_does_as_it_says_and_the_admin_api_tells(
    store_url: str, redis_server: RedisServer, tmp_path: Path, *, at_start: bool
) -> None:
    if at_start:
        redis_server.kill()
    redis = Redis(redis_server.url, timeout_ms=5000)
    async with _gateway(store_url, tmp_path, redis=redis) as gateway, _admin(gateway) as ask:
        await _until_keys_are_known(gateway)
        if not at_start:
            assert await _ask(gateway, CLOSED_KEY) == SERVED
            redis_server.kill()
        tenancy = gateway.gateway.tenancy
        assert tenancy is not None
        while tenancy.admission.state != "local_in_outage":
            await _ask(gateway, SPENT_KEY)
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, OPEN_KEY) == SERVED
        assert await _ask(gateway, CLOSED_KEY) == LATER
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        _, told = await ask("GET", "/limits/key/open")
        assert told["state"] == "local_in_outage"
        redis_server.start()
        await until(lambda: tenancy.admission.state == "shared")
        assert await _ask(gateway, CLOSED_KEY) == SERVED


async def test_a_gateway_that_can_know_no_key_is_not_ready_until_it_can(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.write_text("no folder")
    async with _gateway(f"sqlite:///{barred / 'store.db'}", tmp_path, keys=()) as gateway:
        assert not await _is_ready(gateway)
        barred.unlink()
        make_file(barred / "store.db")
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
    monkeypatch.setattr("proxy.ledger.spooler._MAX_ROWS_IN_MEMORY", 2)
    async with _gateway(store_url, tmp_path / "state") as gateway, _admin(gateway) as ask:
        await _until_keys_are_known(gateway)
        assert await _ask(gateway, KEY) == SERVED
        assert await _ask(gateway, UNKNOWN_KEY) == NO_KEY
        assert (await _ask(gateway, SPENT_KEY))[:2] == (429, "billing_error")
        assert await _is_ready(gateway)
        assert (await ask("GET", "/ledger"))[1]["lost_rows"] == 0
        assert await _ask(gateway, KEY) == SERVED
        assert (await ask("GET", "/ledger"))[1]["lost_rows"] == 1
        is_full = False
    with opened(store_url) as engine:
        # The last stands for the one that is lost.
        assert [each.key for each in stored(engine)] == ["known", "spent", ""]
