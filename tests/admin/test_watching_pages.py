"""Live, Errors and Upstreams over a socket: what is so is shown, clients' words are text, others' are not there."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from proxy import Key
from proxy.access.keys import digest
from proxy.admin.app import create_app_for
from proxy.store.ledger_store import LedgerStore
from tests.admin.conftest import READER
from tests.admin.viewing import ADMIN, ANNA, Browser, viewed
from tests.store.rows import row
from tests.support.client import connected, request
from tests.support.gateways import KEY, Running, config_for, running
from tests.support.raw import UpstreamSide, raw_upstream

MARKUP = "<script>alert(1)</script>"


@contextlib.asynccontextmanager
async def browsing(gateway: Running) -> AsyncIterator[Browser]:
    app = create_app_for(gateway.gateway)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(f"http://127.0.0.1:{runner.addresses[0][1]}", app, session)
    finally:
        await runner.cleanup()


async def test_a_request_before_a_silent_upstream_is_on_the_pages_of_its_key_and_of_the_operator() -> (
    None
):
    sent = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        sent.set()
        await upstream.until_closed()

    async with raw_upstream(script) as upstream:
        keys = (Key("tester", digest(KEY)), Key("anna", digest(ANNA)))
        async with (
            running(config_for(upstream.url, admin=ADMIN, keys=keys)) as gateway,
            browsing(gateway) as browser,
            connected(gateway.host, gateway.port) as client,
        ):
            await client.send(request(headers={"x-claude-code-session-id": MARKUP}))
            await asyncio.wait_for(sent.wait(), 5)
            await browser.sign_in(READER)
            live = await browser("/live")
            assert live.status == 200
            assert "upstream has not answered for" in live.text
            assert MARKUP not in live.text
            assert MARKUP.replace("<", "&lt;").replace(">", "&gt;") in live.text
            assert '"phase":"awaiting_head"' in (await browser("/live.json")).text
            assert "tester" in (await browser("/live.csv")).text
            upstreams = await browser("/upstreams")
            assert (upstreams.status, ">up<" in upstreams.text) == (200, True)
            assert (await browser("/upstreams.csv")).text.splitlines()[1].startswith("first,up,")
            await browser.sign_in(ANNA)
            mine = await browser("/live")
            assert (mine.status, "Nothing is in flight" in mine.text) == (200, True)
            assert (await browser("/live?key=tester")).status == 404
            assert (await browser("/upstreams")).status in (403, 404)


async def test_failures_are_shown_by_fault_with_what_to_do_and_a_holder_sees_its_own(
    store_url: str,
) -> None:
    now_ms = int(time.time() * 1000)
    said = {"at_ms": now_ms - 60_000, "client_retry": 1, "cost_micros": 0}
    store = LedgerStore(store_url)
    rows = [
        row(1, key="anna", cause="upstream_timeout", status=504, client=MARKUP, **said),
        row(2, key="anna", cause="limited_requests", status=429, requests=900, **said),
        row(3, key="ben", cause="invalid_request", status=400, upstream="bens", **said),
        row(4, key="ben", cause="internal", at_ms=now_ms - 2 * 86_400_000),
    ]
    assert store.put(rows) == []
    store.close()
    async with viewed(store_url) as browser:
        await browser.sign_in(READER)
        told = await browser("/errors")
        assert told.status == 200
        for each in ("902 requests", "upstream_timeout", "limited_requests", "status page"):
            assert each in told.text
        assert "internal" not in told.text
        assert MARKUP not in told.text
        assert "internal" in (await browser("/errors?since=7d")).text
        of_bens = (await browser("/errors?upstream=bens")).text
        assert ("<strong>1 request</strong>" in of_bens, 'value="bens"' in of_bens) == (True, True)
        assert (await browser("/errors?since=8d")).status == 400
        await browser.sign_in(ANNA)
        mine = (await browser("/errors.json")).text
        assert ("limited_requests" in mine, "bens" in mine) == (True, False)
        api = await browser("/admin/v1/errors?since=1h", headers={"x-api-key": READER})
        assert (api.status, '"requests":902' in api.text) == (200, True)
