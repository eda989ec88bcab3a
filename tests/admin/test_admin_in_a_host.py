"""A host that mounts the admin API beside the gateway, and whose own users have limits and budgets."""

import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

import proxy
from proxy.access.keys import digest
from proxy.sandbox import Knobs, serve_sandbox
from tests.admin.conftest import WRITER, Asking
from tests.ledger.rows import until
from tests.store.rows import opened, stored
from tests.support.gateways import BODY, HEADERS, KEY, config_for

LIMITED = proxy.Key("anna", limits=proxy.RateLimits(requests_per_minute=2))
SPENT = proxy.Key("ben", budgets=proxy.Budgets(day_micros=1))
TEAM = proxy.Key("cleo", owner="team-s")
USERS = {each.name: each for each in (LIMITED, SPENT, TEAM)}


async def sign_in(request: web.Request) -> proxy.Key | None:
    """Return a user by a cookie; a key made anew for each request, as of a database."""
    user = USERS.get(request.cookies.get("user", ""))
    return None if user is None else dataclasses.replace(user)


class Host:
    """An application with a gateway under /llm, and its admin API under /ops."""

    def __init__(
        self,
        url: str,
        app: web.Application,
        gateway: proxy.Gateway,
        session: aiohttp.ClientSession,
    ) -> None:
        self.url = url
        self.app = app
        self.gateway = gateway
        self.ask = Asking(f"{url}/ops/admin/v1", session)
        self.session = session

    async def message(self, user: str = "", **headers: str) -> int:
        """Ask for a message as a user; return the status."""
        async with self.session.post(
            f"{self.url}/llm/v1/messages",
            data=BODY,
            headers={**HEADERS, "cookie": f"user={user}", **headers},
        ) as response:
            await response.read()
            return response.status


@contextlib.asynccontextmanager
async def hosted(**changes: Any) -> AsyncIterator[Host]:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        config = config_for(
            f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            listen=proxy.Listen(base_path="/llm"),
            admin=proxy.Admin(keys=(proxy.AdminKey("ops", digest(WRITER), "write"),)),
            **changes,
        )
        app = web.Application()
        gateway = proxy.setup(app, config, authenticate=sign_in)
        app.add_subapp("/ops", proxy.create_admin_app(gateway))
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with aiohttp.ClientSession() as session:
                yield Host(f"http://127.0.0.1:{runner.addresses[0][1]}", app, gateway, session)
        finally:
            await runner.cleanup()
    finally:
        await sandbox.cleanup()


async def test_the_hosts_users_are_limited_and_the_admin_api_tells_of_them(
    store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owner = proxy.Owner("team-s", budgets=proxy.Budgets(month_micros=10**9))
    store = proxy.Store(store_url, str(tmp_path / "state"))
    async with hosted(store=store, owners=(owner,)) as host:
        tenancy = host.gateway.tenancy
        assert tenancy is not None
        await until(tenancy.admission.sums_known.is_set)
        assert [await host.message("anna") for _ in range(3)] == [200, 200, 429]
        assert [await host.message("ben") for _ in range(2)] == [200, 429]
        assert await host.message("cleo") == 200
        status, told = await host.ask("GET", "/limits/key/anna")
        assert (status, told["state"]) == (200, "local")
        assert told["limits"]["requests_per_minute"]["remaining"] == 0
        _, page = await host.ask("GET", "/limits")
        assert [each["subject"] for each in page["data"]] == ["key anna", "key ben", "owner team-s"]
        spent = {each["subject"]: each["budgets"] for each in page["data"]}
        assert spent["key ben"]["day"]["spent_micros"] > 1
        assert spent["owner team-s"]["month"]["spent_micros"] > 0
        _, first = await host.ask("GET", "/limits?limit=1")
        assert (first["has_more"], first["next"]) == (True, "key anna")
        _, rest = await host.ask("GET", "/limits?after=key+anna")
        assert [each["subject"] for each in rest["data"]] == ["key ben", "owner team-s"]
        _, ledger = await host.ask("GET", "/ledger")
        assert (ledger["workers"], ledger["workers_silent"]) == (1, 0)
        status, made = await host.ask("POST", "/keys", {"name": "laptop"})
        assert status == 201
        managed = tenancy.managed
        assert managed is not None
        await until(lambda: len(managed) == 1)
        assert await host.message(**{"x-api-key": made["secret"]}) == 200
    with opened(store_url) as engine:
        keys = [row.key for row in stored(engine)]
    assert sorted(keys) == ["anna"] * 3 + ["ben"] * 2 + ["cleo", "laptop"]
    assert not _warnings(caplog)


async def test_what_a_host_says_of_a_user_counts_from_the_next_request_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosted() as host:
        assert [await host.message("anna") for _ in range(3)] == [200, 200, 429]
        monkeypatch.setitem(USERS, "anna", proxy.Key("anna"))
        assert await host.message("anna") == 200
        assert await host.message(**{"x-api-key": KEY}) == 200
    assert (
        _warnings(caplog).count("there are limits or budgets, and neither `store` nor `redis`") == 1
    )


async def test_only_admin_keys_open_it() -> None:
    async with hosted() as host:
        assert (await host.ask("GET", "/keys", key=KEY))[0] == 401
        assert (await host.ask("GET", "/nothing"))[0] == 404
        assert (await host.ask("GET", "/keys"))[0] == 200


def _warnings(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(
        line.getMessage()
        for line in caplog.records
        if line.levelno >= logging.WARNING and line.name != "anyrouter.access"
    )


async def test_a_host_without_it_is_told_that_admin_is_not_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = config_for(
        "http://127.0.0.1:9", admin=proxy.Admin(keys=(proxy.AdminKey("ops", digest(WRITER)),))
    )
    app = web.Application()
    proxy.setup(app, config)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    assert "proxy.create_admin_app makes an application of it" in _warnings(caplog)


def test_without_admin_in_the_configuration_there_is_none() -> None:
    gateway = proxy.setup(web.Application(), config_for("http://127.0.0.1:9"))
    with pytest.raises(ValueError, match="no admin section"):
        proxy.create_admin_app(gateway)


@pytest.mark.parametrize(
    ("processes", "said"),
    [(1, "another process of the application would count for itself"), (2, None)],
)
def test_a_host_is_told_what_several_processes_of_it_would_count(
    processes: int, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    quota = proxy.Quota(each_key_limits=proxy.RateLimits(max_in_flight=1))
    config = config_for(
        "http://127.0.0.1:9", quota=quota, listen=proxy.Listen(workers=processes, base_path="/llm")
    )
    if said is None:
        with pytest.raises(proxy.ConfigError, match="each would count for itself"):
            proxy.setup(web.Application(), config)
        return
    proxy.setup(web.Application(), config)
    assert said in _warnings(caplog)


async def test_a_users_limits_in_several_processes_are_doubted_once(
    tmp_path: Path, sqlite_made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = proxy.Store(f"sqlite:///{sqlite_made}", str(tmp_path / "state"))
    config = config_for(
        "http://127.0.0.1:9", listen=proxy.Listen(workers=4, base_path="/llm"), store=store
    )
    gateway = proxy.setup(web.Application(), config, authenticate=sign_in)
    asked = make_mocked_request("POST", "/llm/v1/messages", {"cookie": "user=anna"})
    assert [await gateway.host_key(asked) for _ in range(2)] == [LIMITED] * 2
    assert _warnings(caplog).count("each of 4 processes counts for itself") == 1


async def test_a_changed_configuration_counts_for_it_too() -> None:
    async with hosted() as host:
        config = host.gateway.snapshot.config
        more = (*config.keys, proxy.Key("tablet", digest("ar-tablet")))
        await host.gateway.reload(dataclasses.replace(config, keys=more))
        _, page = await host.ask("GET", "/keys")
        assert [each["name"] for each in page["data"]] == ["tablet", "tester"]
