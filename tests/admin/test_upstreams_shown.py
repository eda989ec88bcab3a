"""How upstreams are shown: by the admin API, and by `anyrouter upstreams`, at a gateway with a pool."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy import Admin, AdminKey
from proxy.__main__ import main
from proxy.access.keys import digest
from proxy.admin.app import create_app_for
from proxy.admin.upstreams import merged
from proxy.upstreams.account import Headroom
from proxy.upstreams.counts import Count
from proxy.upstreams.report import Account, Cooling, Failure, Report, Share
from tests.admin.conftest import READER, Asking
from tests.admin.test_watching_pages import browsing
from tests.admin.viewing import ADMIN
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.pools import Pooled, error, good, one_after_the_other, pooled
from tests.support.raw import MESSAGE, Script, UpstreamSide, answer

LIMITED = error(
    b"429 Too Many Requests",
    b"retry-after: 60",
    b"anthropic-ratelimit-requests-limit: 50",
    b"anthropic-ratelimit-requests-remaining: 0",
)


@contextlib.asynccontextmanager
async def shown(*scripts: Script) -> AsyncIterator[tuple[Pooled, str, Asking]]:
    """Serve a gateway with a pool, and its admin API; yields its URL, too, and a client of it."""
    admin = Admin(keys=(AdminKey("eye", digest(READER)),))
    async with pooled(*scripts, admin=admin) as pool:
        runner = web.AppRunner(create_app_for(pool.gateway.gateway))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield pool, url, Asking(f"{url}/admin/v1", pool.gateway.session)
        finally:
            await runner.cleanup()


async def _told(ask: Asking) -> tuple[dict[str, object], ...]:
    status, told = await ask("GET", "/upstreams", key=READER)
    assert (status, told["workers"], told["workers_silent"]) == (200, 1, 0)
    return tuple(told["data"])


async def test_who_cools_and_who_stands_in_is_told() -> None:
    async with shown(LIMITED, good) as (pool, _, ask):
        before = await _told(ask)
        assert [(each["state"], each["requests"]) for each in before] == [("up", 0)] * 2
        for body in (BODY, STREAM_BODY):
            assert (await pool.ask(body))[0] == 200
        of_a, of_b = await _told(ask)
    assert (of_a["state"], of_a["reason"]) == ("cooling", "429")
    assert of_a["cooling_s"] == pytest.approx(60, abs=20)
    assert of_a["cooling"][0]["model"] == "claude-sonnet-4-6"  # type: ignore[index] # as JSON
    assert of_a["last_error"]["reason"] == "429"  # type: ignore[index] # as JSON
    counted = ("requests", "failures", "homes", "moved_away", "stood_in", "in_flight")
    assert [of_a[each] for each in counted] == [1, 1, 2, 2, 0, 0]
    assert [of_b[each] for each in counted] == [2, 0, 0, 0, 2, 0]
    assert of_b["cache"] == {
        "read_tokens": 3,
        "written_tokens": 0,
        "uncached_tokens": 22,
        "hit_share": 0.12,
    }
    share = {"pool": "pool", "homes": 2, "homes_share": 1.0, "moved_away": 2, "stood_in": 0}
    assert of_a["pools"] == [share]
    account = of_a["account"]
    assert account["requests"] == {"limit": 50, "remaining": 0, "reset": None}  # type: ignore[index] # as JSON


async def test_what_is_in_flight_is_told_at_the_upstream_that_is_at_it() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(upstream: UpstreamSide) -> None:
        asked.set()
        await go_on.wait()
        await upstream.send(answer(MESSAGE))

    async with shown(slow, good) as (pool, _, ask):
        asking = asyncio.create_task(pool.ask(BODY))
        await asked.wait()
        of_a, of_b = await _told(ask)
        assert (of_a["in_flight"], of_b["in_flight"], of_a["requests"]) == (1, 0, 0)
        go_on.set()
        assert (await asking)[0] == 200


async def test_the_clients_own_faults_are_no_failures_of_the_upstream() -> None:
    wrong = error(b"400 Bad Request", kind=b"invalid_request_error")
    async with shown(one_after_the_other(wrong, good), good) as (pool, _, ask):
        assert (await pool.ask(BODY))[0] == 400
        assert (await pool.ask(BODY[:-1]))[0] == 400
        of_a, _ = await _told(ask)
    assert (of_a["requests"], of_a["failures"], of_a["last_error"]) == (1, 0, None)


async def test_the_command_prints_a_table_and_what_the_api_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with shown(LIMITED, good) as (pool, url, _):
        assert (await pool.ask(BODY))[0] == 200
        given = ["upstreams", "--url", url, "--key", READER]
        assert await asyncio.to_thread(main, given) == 0
        header, of_a, of_b, *_ = capsys.readouterr().out.splitlines()
        assert header.split() == [
            *("upstream", "state", "left", "why", "last", "error"),
            *("homes", "cached", "in", "flight"),
        ]
        assert of_a.split()[:2] == ["a", "cooling"]
        assert "429 for claude-sonnet-4-6" in of_a
        assert "100%" in of_a
        assert of_b.split() == ["b", "up", "0%", "0.0%", "0"]
        assert await asyncio.to_thread(main, [*given, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [each["upstream"] for each in told["data"]] == ["a", "b"]


async def test_the_page_names_the_one_model_that_cools_in_the_words_of_the_command() -> None:
    async with pooled(LIMITED, good, admin=ADMIN) as pool, browsing(pool.gateway) as browser:
        assert (await pool.ask(BODY))[0] == 200
        await browser.sign_in(READER)
        page = (await browser("/upstreams")).text
    assert 'class="bad">cooling ' in page
    assert ": 429 for claude-sonnet-4-6<" in page
    assert "of the access log" in page


def _report(**changes: object) -> Report:
    given: dict[str, object] = {
        "upstream": "a",
        "is_configured": True,
        "cooling": [],
        "last_error": None,
        "in_flight": 1,
        "account": None,
        "shares": [Share("pool", Count(requests=2, homes=3)), Share(None, Count(failures=1))],
        **changes,
    }
    return Report(**given)  # type: ignore[arg-type] # by name


def test_workers_that_have_learned_different_things_are_put_together() -> None:
    first = _report(
        cooling=[Cooling("m", "429", 5_000, 40_000)],
        last_error=Failure("429", 5_000),
        account=Account(5_000, {"requests": Headroom(50, 7)}),
    )
    second = _report(
        cooling=[Cooling(None, "401", 7_000, 20_000), Cooling("m", "529", 4_000, 30_000)],
        last_error=Failure("401", 7_000),
        account=Account(6_000, {"requests": Headroom(50, 6)}),
    )
    other = _report(upstream="b", shares=[Share("pool", Count(homes=2))])
    of_a, of_b = merged([[first, other], [second, other], [_report(), other]], 10_000)
    assert (of_a["state"], of_a["reason"], of_a["cooling_s"]) == ("cooling", "401", 10)
    assert [(each["model"], each["reason"], each["cooling_s"]) for each in of_a["cooling"]] == [
        (None, "401", 10),
        ("m", "429", 30),
    ]
    assert of_a["cooling"][1]["since"] == "1970-01-01T00:00:04Z"
    assert of_a["last_error"] == {"reason": "401", "at": "1970-01-01T00:00:07Z"}
    assert of_a["account"]["requests"]["remaining"] == 6
    assert (of_a["in_flight"], of_a["requests"], of_a["failures"]) == (3, 6, 3)
    assert [each["homes_share"] for each in (*of_a["pools"], *of_b["pools"])] == [0.6, 0.4]
    assert [each["state"] for each in of_a["workers"]] == ["cooling", "cooling", "up"]


def test_an_upstream_that_every_worker_has_let_go_is_leaving() -> None:
    gone = _report(is_configured=False)
    states = [merged(workers, 0)[0]["state"] for workers in ([[gone], [_report()]], [[gone]])]
    assert states == ["up", "leaving"]
