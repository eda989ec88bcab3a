"""`anyrouter limits show`, at a running gateway with its admin API."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from proxy import Admin, AdminKey, Budgets, Key, Owner, Quota, RateLimits, Store
from proxy.__main__ import main
from proxy.access.keys import digest
from proxy.admin.app import create_app_for
from proxy.commands import options
from proxy.sandbox import Knobs, serve_sandbox
from tests.admin.conftest import READER
from tests.support.gateways import KEY, config_for, running

DAY = Budgets(day_micros=5_000_000)
KEYS = (
    Key("laptop", digest(KEY), owner="team-a", limits=RateLimits(requests_per_minute=1)),
    Key("phone", digest("ar-phone"), limits=RateLimits(max_in_flight=3, shadow=True)),
)


class Said(NamedTuple):
    """How a command ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


class Asking:
    """The command, with the URL of an admin API and a key of it."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    async def __call__(self, *words: str, key: str = READER, url: str | None = None) -> Said:
        """Run it; asked from another thread, since it has an event loop of its own."""
        given = ["limits", "show", *words, "--url", url or self.url, "--key", key]
        status = await asyncio.to_thread(main, given)
        return Said(status, *self._capsys.readouterr())


@pytest.fixture
async def show(
    tmp_path: Path, sqlite_made: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Asking]:
    """Serve a gateway that has answered once, and its admin API; return the command."""
    made = shutil.copy(sqlite_made, tmp_path / "store.db")
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        config = config_for(
            f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            keys=KEYS,
            owners=(Owner("team-a", budgets=DAY),),
            quota=Quota(global_budgets=Budgets(month_micros=10**9)),
            store=Store(f"sqlite:///{made}", str(tmp_path / "state")),
            admin=Admin(keys=(AdminKey("eye", digest(READER)),)),
        )
        started = await stack.enter_async_context(running(config))
        async with started.post() as response:
            assert response.status == 200
        runner = web.AppRunner(create_app_for(started.gateway))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Asking(f"http://127.0.0.1:{runner.addresses[0][1]}", capsys)


async def test_each_limit_and_budget_is_a_row(show: Asking) -> None:
    said = await show()
    assert (said.status, said.err) == (0, "")
    header, *rows = [line for line in said.out.splitlines() if line]
    assert header.split() == ["of", "what", "until", "used", "held", "limit"]
    cells = [row.split() for row in rows]
    assert [row[:2] for row in cells] == [
        ["global", "dollars"],
        ["key", "laptop"],
        ["key", "phone"],
        ["owner", "team-a"],
    ]
    assert [row[-1] for row in cells] == ["1000.000000", "1", "3", "5.000000"]
    assert cells[1][2:5] == ["requests", "per", "minute"]
    assert cells[1][-2] == "1"
    assert "only watched" in rows[2]
    spent, held = cells[3][-3:-1]
    assert (float(spent) > 0, float(held)) == (True, 0)


async def test_for_programs_it_is_what_the_admin_api_says(show: Asking) -> None:
    said = await show("owner", "team-a", "--json")
    (left,) = json.loads(said.out)["data"]
    assert (left["subject"], left["state"]) == ("owner team-a", "local")
    day = left["budgets"]["day"]
    assert (day["limit_micros"], day["held_micros"], day["shadow"]) == (5_000_000, 0, False)
    assert day["resets_at"].endswith("T00:00:00Z")
    assert len(json.loads((await show("--json")).out)["data"]) == 4


async def test_what_is_wrong_is_one_line(show: Asking) -> None:
    for words, key, status, reason in (
        (("key", "nobody"), READER, 2, "no such key: nobody"),
        (("key",), READER, 2, "key NAME, owner NAME, global, or nothing"),
        (("global", "laptop"), READER, 2, "key NAME, owner NAME, global, or nothing"),
        ((), KEY, 2, "`admin.keys` of the gateway has it"),
        ((), "\x7f", 2, "must be printable ASCII"),
    ):
        said = await show(*words, key=key)
        assert (said.status, said.out, said.err.count("\n")) == (status, "", 1), reason
        assert reason in said.err
    said = await show(url="http://127.0.0.1:1")
    assert said.status == 1
    assert "nothing listens on 127.0.0.1:1" in said.err


def test_that_no_admin_api_is_configured_is_told_where_none_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("upstreams: {}\nadmin: null\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANYROUTER_ADMIN_URL", raising=False)
    monkeypatch.setattr(options, "given_admin_url", lambda _: "http://127.0.0.1:1")
    assert main(["limits", "show", "--key", READER]) == 2
    assert "config.yaml: `admin` is not configured" in capsys.readouterr().err
