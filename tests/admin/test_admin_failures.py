"""What the admin API answers while the store is away."""

from pathlib import Path

import pytest

from proxy import Store
from proxy.admin.workers import SocketWorkers
from tests.admin.conftest import Start
from tests.support.postgres import Postgres


async def test_what_needs_the_store_is_a_503_until_it_is_back_and_nothing_is_half_done(
    admin: Start, postgres_again: Postgres, postgres_store: str
) -> None:
    async with admin(store=Store(postgres_store)) as ask:
        assert (await ask("GET", "/usage?by=key"))[0] == 200
        postgres_again.stop()
        for method, path, body in (
            ("GET", "/usage?by=key", None),
            ("GET", "/requests", None),
            ("GET", "/audit", None),
            ("POST", "/keys", {"name": "laptop"}),
        ):
            status, told = await ask(method, path, body)
            assert (status, told["error"]["type"]) == (503, "api_error"), path
            assert "store" in told["error"]["message"]
        assert (await ask("GET", "/ledger"))[0] == 200
        postgres_again.start()
        assert (await ask("POST", "/keys", {"name": "laptop"}))[0] == 201


async def test_a_store_that_this_process_may_not_open_is_a_503(
    admin: Start, tmp_path: Path
) -> None:
    async with admin(store=Store(f"sqlite:///{tmp_path}/{'x' * 300}/store.db")) as ask:
        status, told = await ask("GET", "/usage?by=key")
    assert (status, told["error"]["type"]) == (503, "api_error")


async def test_a_defect_is_a_500_that_tells_nothing_and_is_logged_with_its_traceback(
    admin: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(workers: SocketWorkers) -> None:
        del workers
        raise LookupError("of this test")

    monkeypatch.setattr(SocketWorkers, "ledgers", fail)
    async with admin() as ask:
        status, told = await ask("GET", "/ledger")
        assert (await ask("GET", "/keys"))[0] == 200
    assert (status, told["error"]["type"]) == (500, "api_error")
    assert told["error"]["message"] == "internal error of the admin API"
    assert "LookupError: of this test" in caplog.text
