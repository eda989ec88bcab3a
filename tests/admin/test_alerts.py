"""Each alert comes once to each receiver, however many gateways look, and whatever receivers and processes do."""

import hashlib
import hmac
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from proxy import Admin, AdminKey, Alerts, Budgets, Key, Receiver, Store
from proxy.access.keys import digest
from proxy.admin.alerts import Alert
from proxy.admin.context import AdminContext
from proxy.admin.deliver import MESSAGES_AN_HOUR, TRIES_AFTER_MS, Outbox, place_of
from proxy.admin.rounds import STALE_MS, Rounds
from proxy.admin.workers import Answer, SocketWorkers
from proxy.ledger.ledger import Status
from proxy.ledger.row import Row
from proxy.store.ledger_store import LedgerStore
from tests.admin.conftest import READER
from tests.admin.viewing import viewed
from tests.ledger.rows import until
from tests.store.rows import AT_MS, row
from tests.support.gateways import config_for

SECRET = "whsec-0123456789abcdef"
STEP_MS = 5_000
NOW_MS = AT_MS + 3_600_000


class Machine(SocketWorkers):
    """A machine without workers that serve; `status` is what one says of its ledger."""

    def __init__(self, status: Status | None = None) -> None:
        super().__init__(())
        self._status = status

    async def ledgers(self) -> list[Answer | None]:
        """Return what one says, and that another does not answer."""
        told = None if self._status is None else msgspec.to_builtins(self._status)
        return [(200, told), None]


class Webhook:
    """Somebody who is told things, and does not always take them."""

    def __init__(self) -> None:
        self.url = ""
        self.lies: str | None = None
        self.tries = 0
        self.taken: list[dict[str, Any]] = []
        self.signatures: list[bool] = []

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.tries += 1
        match self.lies:
            case "error":
                return web.Response(status=503)
            case "redirect":
                return web.Response(status=307, headers={"Location": self.url})
            case "cut":
                assert request.transport is not None
                request.transport.abort()
        if self.lies is None:
            self.taken.append(json.loads(body))
            at = request.headers.get("x-anyrouter-timestamp", "")
            signed = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256)
            said = request.headers.get("x-anyrouter-signature")
            self.signatures.append(said == f"sha256={signed.hexdigest()}")
        return web.Response()


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_post("/hook", hook.take)
    # Its own lines would have the secret of its URL.
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield hook
    finally:
        await runner.cleanup()


def refusals(count: int) -> list[Row]:
    """Return requests that were refused alike, as they are kept: folded."""
    said = {"key": "ci", "status": 429, "cause": "budget_spent", "cost_micros": 0}
    return [row(number, **said, requests=count // 10) for number in range(10)]


def spends(number: int, **fields: Any) -> Row:
    at_ms = NOW_MS - 120_000
    said = {"key": "ci", "session_id": "b160", "total_ms": 1000, "at_ms": at_ms}
    return row(100_000 + number, **{**said, **fields})


def gateway(
    url: str, *receivers: Receiver, status: Status | None = None, sessions: bool = True
) -> tuple[AdminContext, Rounds]:
    config = config_for(
        "http://127.0.0.1:9",
        store=Store(url),
        admin=Admin(keys=(AdminKey("eye", digest(READER)),), sessions=sessions),
        keys=(Key("ci", digest("ar-ci"), budgets=Budgets(day_micros=20_000_000)),),
        alerts=Alerts(receivers),
    )
    context = AdminContext(config)
    return context, Rounds(context, Machine(status), "host-1")


def keep(url: str, *rows: Row) -> None:
    store = LedgerStore(url)
    assert store.put(rows) == []
    store.close()


async def test_two_gateways_ten_thousand_refusals_a_restart_and_a_receiver_that_is_down_for_a_minute(
    store_url: str,
) -> None:
    agents = [spends(n, agent_id=f"a{n}", cost_micros=0) for n in range(20)]
    unpriced = spends(50, price="unknown@2026-11-20", session_id=None, upstream_model="gpt-9")
    keep(store_url, *refusals(10_000), spends(99, cost_micros=26_000_000), *agents, unpriced)
    async with webhook() as hook, webhook() as slack:
        to = (Receiver(hook.url, "json", SECRET), Receiver(slack.url))
        contexts = [gateway(store_url, *to) for _ in range(2)]
        try:
            at_ms = NOW_MS
            for hook.lies in ("error", "cut", "redirect", None):
                for _ in range(4):
                    for _, rounds in contexts:
                        await rounds.step(at_ms)
                    at_ms += STEP_MS
                assert hook.lies is None or hook.taken == []
            contexts.append(gateway(store_url, *to))
            while at_ms < NOW_MS + 900_000:
                for _, rounds in contexts:
                    await rounds.step(at_ms)
                at_ms += 60_000
        finally:
            for context, _ in contexts:
                context.close()
    told = sorted((each["rule"], each["subject"], each["period"]) for each in hook.taken)
    assert [(rule, subject) for rule, subject, _ in told] == [
        ("budget_100", "key ci day"),
        ("model_unpriced", "gpt-9"),
        ("session_agents", "b160"),
        ("session_spends", "b160"),
    ]
    assert all(hook.signatures)
    assert hook.tries > len(hook.taken)
    assert len({each["id"] for each in hook.taken}) == len(slack.taken) == len(told)
    assert all(each["text"].startswith("AnyRouter: ") for each in slack.taken)


async def test_where_sessions_are_not_shown_no_alert_tells_of_one(store_url: str) -> None:
    agents = [spends(n, agent_id=f"a{n}", cost_micros=0) for n in range(20)]
    keep(store_url, spends(99, cost_micros=26_000_000), *agents)
    async with webhook() as hook:
        context, rounds = gateway(store_url, Receiver(hook.url, "json", SECRET), sessions=False)
        try:
            for n in range(3):
                await rounds.step(NOW_MS + n * STEP_MS)
        finally:
            context.close()
    assert [each["rule"] for each in hook.taken] == ["budget_100"]


async def test_the_admin_apis_own_process_looks_and_tells_by_itself(
    tmp_path: Path, sqlite_made: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    keep(url, spends(1, cost_micros=30_000_000, session_id=None, at_ms=int(time.time() * 1000)))
    async with webhook() as hook:
        keys = (Key("ci", digest("ar-ci"), budgets=Budgets(day_micros=20_000_000)),)
        async with viewed(url, keys=keys, alerts=Alerts((Receiver(hook.url, "json"),))):
            await until(lambda: hook.taken)
    assert [each["rule"] for each in hook.taken] == ["budget_100"]


async def test_what_a_killed_gateway_was_about_to_tell_another_tells(store_url: str) -> None:
    keep(store_url, spends(1, cost_micros=30_000_000, session_id=None))
    async with webhook() as hook:
        hook.lies = "error"
        killed, rounds = gateway(store_url, Receiver(hook.url, "json", SECRET))
        await rounds.step(NOW_MS)
        killed.close()
        hook.lies = None
        context, after = gateway(store_url, Receiver(hook.url, "json", SECRET))
        await after.step(NOW_MS + 60_000)
        assert hook.taken == []
        await after.step(NOW_MS + 60_000 + STALE_MS)
        context.close()
    assert [each["rule"] for each in hook.taken] == ["budget_100"]


async def test_a_store_that_is_down_keeps_nothing_from_being_told_and_nobody_told_means_no_question(
    tmp_path: Path,
) -> None:
    async with webhook() as hook:
        status = Status(False, 0.0, "down", False, 9, 900, NOW_MS - 61_000, 0, 4)
        url = f"sqlite:///{tmp_path / 'not-made.db'}"
        context, rounds = gateway(url, Receiver(hook.url, "json"), status=status)
        await rounds.step(NOW_MS)
        await rounds.step(NOW_MS + 60_000)
        context.close()
        silent, nobody = gateway("sqlite:////nowhere/store.db")
        await nobody.step(NOW_MS)
        silent.close()
    assert [each["rule"] for each in hook.taken] == ["ledger_behind", "rows_lost"]


def alert(number: int, rule: str = "rule", text: str = "<!channel> & all") -> Alert:
    return Alert(rule, f"subject {number}", "2026-11-26", text, "nothing")


async def test_beyond_thirty_an_hour_there_is_one_digest() -> None:
    async with webhook() as hook, webhook() as slack:
        to = (Receiver(hook.url, "json", SECRET), Receiver(slack.url))
        outbox = Outbox({})
        own = [outbox.add(alert(number), to, NOW_MS) for number in range(100)]
        assert own == [True] * MESSAGES_AN_HOUR + [False] * 70
        assert len(await outbox.deliver(to, NOW_MS)) == MESSAGES_AN_HOUR
        assert await outbox.deliver(to, NOW_MS + 3_599_999) == []
        assert len(await outbox.deliver(to, NOW_MS + 3_600_000)) == 20
    assert len(hook.taken) == len(slack.taken) == MESSAGES_AN_HOUR + 1
    digest_ = hook.taken[-1]
    assert (digest_["type"], digest_["count"], len(digest_["data"])) == ("alerts", 70, 20)
    assert "and 50 others" in slack.taken[-1]["text"]
    assert "&lt;!channel&gt; &amp; all" in slack.taken[0]["text"]
    assert all(hook.signatures)


async def test_a_receiver_that_never_takes_it_is_given_up_after_ten_minutes_without_its_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with webhook() as good, webhook() as bad:
        bad.lies = "error"
        to = (Receiver(good.url), Receiver(f"{bad.url}?token=s3cret"))
        silent: dict[str, int] = {}
        outbox = Outbox(silent)
        outbox.add(alert(1, text="upstream acct-b fails"), to, NOW_MS)
        done = [
            await outbox.deliver(to, NOW_MS + at_ms)
            for at_ms in (*TRIES_AFTER_MS[:1], 1_000, *TRIES_AFTER_MS[1:], 700_000)
        ]
        assert [len(each) for each in done] == [0, 0, 0, 0, 0, 1, 0]
        assert (len(good.taken), bad.tries) == (1, len(TRIES_AFTER_MS))
        # The Overview says so, until one is taken.
        assert silent == {place_of(to[1]): NOW_MS}
        bad.lies = None
        outbox.add(alert(2), to, NOW_MS + 800_000)
        await outbox.deliver(to, NOW_MS + 800_000)
        assert silent == {}
    assert "5 tries (status 503): upstream acct-b fails" in caplog.text
    assert "s3cret" not in caplog.text
    assert "hook" not in caplog.text.replace("webhook", "")
