"""The pages of keys: which there are, and what a holder is told of the own one."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest

from proxy import Budgets, Key
from proxy.access.keys import digest
from proxy.admin.page import key
from proxy.client_variables import SAFE
from proxy.store import bounded
from proxy.store.keys import Keys
from tests.admin.conftest import WRITER
from tests.admin.viewing import ANNA, managed, model, put, viewed
from tests.store.rows import opened, row


async def test_the_keys_of_configuration_store_and_ledger_are_listed(store_url: str) -> None:
    managed(store_url, "cleo", "ar-cleo-0123456789-0123456789", disabled=True)
    managed(store_url, "dora", "ar-dora-0123456789-0123456789")
    with opened(store_url) as engine:
        Keys(engine, "ops").delete("dora", 1)
    put(
        store_url,
        {"cost_micros": 5},
        {"key": "gone", "cost_micros": 9},
        {"key": "dora", "cost_micros": 7},
    )
    async with viewed(store_url) as browser:
        await browser.sign_in(WRITER)
        told = await model(browser, "/keys.json")
        assert [(each["name"], each["source"], each["state"]) for each in told["keys"]] == [
            ("gone", "elsewhere", ""),
            ("dora", "store", "deleted"),
            ("anna", "configuration", "active"),
            ("ben", "configuration", "active"),
            ("cleo", "store", "disabled"),
        ]
        assert [each["last_day"] is None for each in told["keys"]] == [
            False,
            False,
            False,
            True,
            True,
        ]
        assert (await model(browser, "/keys/gone.json"))["known"] is None
        assert (await browser("/keys/none")).status == 404


async def test_a_holder_sees_what_was_refused_and_what_to_do(store_url: str) -> None:
    put(store_url, {"status": 429, "cause": "limited_in_flight", "client": "claude-cli/2"})
    keys = (Key("anna", digest(ANNA), budgets=Budgets(day_micros=50)),)
    async with viewed(store_url, keys=keys) as browser:
        await browser.sign_in(ANNA)
        told = await model(browser, "/me.json")
        (refused,) = told["refused"]
        assert (refused["cause"], refused["requests"]) == ("limited_in_flight", 1)
        assert refused["do"] == "let fewer requests run at once, or ask whoever runs the gateway"
        (failure,) = (await model(browser, "/errors.json"))["failures"]
        assert failure["do"] == refused["do"]
        assert (await model(browser, f"/requests/{refused['sample_id']}.json"))["do"] == refused[
            "do"
        ]
        assert [each["client"] for each in told["clients"]] == ["claude-cli/2"]


async def test_the_upstream_that_could_not_be_reached_is_named(store_url: str) -> None:
    failed = {"attempts": 0, "upstream": "acct", "total_ms": 3}
    put(
        store_url,
        failed | {"status": 502, "cause": "upstream_unreachable"},
        failed | {"status": None, "cause": "client_closed"},
    )
    async with viewed(store_url, keys=(Key("anna", digest(ANNA)),)) as browser:
        await browser.sign_in(ANNA)
        pages = [(await browser(f"/requests/{row(number).id}")).text for number in (1, 2)]
    assert all("▸ acct" in page for page in pages)
    assert not any("answered by the gateway" in page for page in pages)


async def test_what_was_refused_was_answered_by_the_gateway_and_sent_to_nobody(
    store_url: str,
) -> None:
    refused = {"status": 429, "cause": "budget_spent", "upstream": "acct", "total_ms": 3}
    put(store_url, refused | {"attempts": 0}, refused | {"attempts": 1})
    async with viewed(store_url, keys=(Key("anna", digest(ANNA)),)) as browser:
        await browser.sign_in(ANNA)
        pages = [(await browser(f"/requests/{row(number).id}")).text for number in (1, 2)]
    assert ["answered by the gateway" in page for page in pages] == [True, False]
    assert ["▸ acct" in page for page in pages] == [False, True]


async def test_a_holder_is_told_the_settings_that_the_command_sets(store_url: str) -> None:
    put(store_url, {})
    async with viewed(store_url, keys=(Key("anna", digest(ANNA)),)) as browser:
        await browser.sign_in(ANNA)
        (settings,) = re.findall(
            r'<pre id="settings".*?>(.*?)</pre>', (await browser("/me")).text, re.DOTALL
        )
        told = json.loads(html.unescape(settings))["env"]
        base_url = (await model(browser, "/me.json"))["base_url"]
    safe = {name: value for name, value, _ in SAFE}
    assert told == {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_AUTH_TOKEN": "your key", **safe}


async def test_what_of_a_key_takes_too_long_is_left_out_and_the_rest_is_shown(
    sqlite_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    put(url, {"status": 429, "cause": "limited_in_flight", "cost_micros": 7, "session_id": "s"})
    monkeypatch.setattr(key, "_PART_WITHIN_S", 0)
    monkeypatch.setattr(bounded, "_INSTRUCTIONS", 1)
    async with viewed(url) as browser:
        await browser.sign_in(ANNA)
        told = await model(browser, "/me.json")
        assert told["missing"] == ["sessions", "refused", "clients"]
        assert told["today_micros"] == 7
        assert "not shown: sessions, refused, clients" in (await browser("/me")).text
