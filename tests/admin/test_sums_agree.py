"""Whoever is asked says the same: metrics, access lines, ledger, pages, `usage`, the upstream; to the micro-dollar."""

import asyncio
import contextlib
import json
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.access.keys import digest
from proxy.sandbox import SERVED, Knobs, Record, serve_sandbox
from proxy.telemetry.series import TOKEN_KINDS
from tests.cli.test_cli_admin import ADMIN_KEY, _free_port, _ports
from tests.support.commands import WITHIN_S, Command, ran, started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY
from tests.tenancy.reckoned import cost_of, tokens_of

_REQUESTS = 2_000
_AT_ONCE = 40
_NARROW, _EXPIRED, _OFF = "ar-narrow-key-0123456789", "ar-expired-0123456789", "ar-off-0123456789"
_KINDS: tuple[tuple[str, bytes, dict[str, str]], ...] = (
    ("messages", BODY, {}),
    ("messages", STREAM_BODY, {}),
    ("messages", STREAM_BODY, {"x-sandbox": "cut=900"}),
    ("messages", BODY, {"x-sandbox": "status=529"}),
    ("messages", BODY[:-1], {}),
    ("messages", BODY, {"x-api-key": "ar-nobody"}),
    ("messages", BODY, {"x-api-key": _NARROW}),
    ("messages", BODY, {"x-api-key": _EXPIRED}),
    ("messages", BODY, {"x-api-key": _OFF}),
    ("messages/count_tokens", BODY, {}),
)


async def _ask_all(session: aiohttp.ClientSession, port: str) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(i: int) -> None:
        path, body, headers = _KINDS[i % len(_KINDS)]
        url = f"http://127.0.0.1:{port}/api/v1/{path}"
        async with turns, session.post(url, data=body, headers={**HEADERS, **headers}) as response:
            # Some are cut, as is asked.
            with contextlib.suppress(aiohttp.ClientPayloadError):
                await response.read()

    await asyncio.gather(*map(ask, range(_REQUESTS)))


Sums = Counter[tuple[str, ...]]


async def _sums(session: aiohttp.ClientSession, admin: str) -> Sums:
    """Return the metrics, once they know of all requests: by name, and by name and each label, over both workers."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with session.get(f"http://127.0.0.1:{admin}/metrics") as response:
                sums = _read(await response.text())
            if sums["requests_total",] - sums["requests_total", "endpoint", "probe"] >= _REQUESTS:
                return sums
            await asyncio.sleep(0.05)  # another process: there is no event to wait for


def _read(text: str) -> Sums:
    sums: Sums = Counter()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            name = each.name.removeprefix("anyrouter_")
            # Dollars are told; what is summed is whole, and so exact.
            value = round(each.value * 1e6) if "_usd" in name else int(each.value)
            sums[name,] += value
            for label in each.labels.items():
                sums[(name, *label)] += value
    return sums


# The one adds up days, the other rows.
_PAGES = ("/spend.json?by=key,model", "/spend.json?by=client")
_OF_PAGES = (
    "requests",
    "failed",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cost_micros",
)


async def _totals(session: aiohttp.ClientSession, admin: str, known: int) -> list[dict[str, Any]]:
    """Return the totals of the pages, once they know of so many requests: rows are stored behind the answer."""
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    found = []
    async with asyncio.timeout(WITHIN_S):
        for page in _PAGES:
            total = {"requests": 0}
            while total["requests"] < known:
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
                async with session.get(f"http://127.0.0.1:{admin}{page}", headers=headers) as told:
                    total = (await told.json())["total"]
            found.append(total)
    return found


_STORED = """
SELECT COUNT(*), SUM(requests), SUM(CASE usage_source WHEN 'reported' THEN output_tokens END) FROM request
"""


def _stored(file: Path) -> tuple[int, int, int]:
    """Return how many rows the ledger has, for how many requests those stand, and the output that was reported."""
    with contextlib.closing(sqlite3.connect(file)) as ledger:
        rows, requests, output = ledger.execute(_STORED).fetchone()
    return rows, requests, output


def _served(record: Record) -> tuple[int, int, int]:
    """Return what the upstream told: all input, and of what it ended the output and, by published prices, the cost."""
    whole = [each for each in record.values() if each.is_complete]
    return (
        sum(tokens_of(each.usage).input or 0 for each in record.values()),
        sum(tokens_of(each.usage).output or 0 for each in whole),
        sum(cost_of(each.usage, each.model) for each in whole),
    )


def _lines(command: Command) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in command.out.splitlines()]
    return [line for line in lines if "path" in line]


def _configured(folder: Path, upstream: str) -> Path:
    """Write the configuration of two workers with a key that may do all, and three that are refused."""
    config = write_config(
        folder,
        upstream,
        f"""\
store: {{url: "sqlite:///store.db", state_dir: state}}
admin: {{port: {_free_port()}, keys: [{{name: ops, key: {ADMIN_KEY}}}]}}
""",
    )
    text = config.read_text("utf-8").replace("{port: 0}", "{port: 0, workers: 2}")
    narrow = f"{{name: narrow, sha256: {digest(_NARROW)}, models: [anthropic/claude-opus-4.8]}}"
    expired = f"{{name: expired, sha256: {digest(_EXPIRED)}, expires_at: 2020-01-01T00:00:00Z}}"
    off = f"{{name: 'off', sha256: {digest(_OFF)}, disabled: true}}"
    ours = f"keys: [{narrow}, {expired}, {off}, {{name: tester"
    config.write_text(text.replace("keys: [{name: tester", ours))
    return config


@pytest.mark.slow
async def test_metrics_lines_ledger_pages_usage_and_upstream_have_the_same_sums(
    tmp_path: Path,
) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(serve_record=True))
    config = _configured(tmp_path, f"http://127.0.0.1:{sandbox.addresses[0][1]}")
    each = _REQUESTS // len(_KINDS)
    try:
        async with started("serve", "--config", str(config)) as command:
            async with aiohttp.ClientSession() as session:
                port, admin = await _ports(command)
                await _ask_all(session, port)
                sums = await _sums(session, admin)
                pages = await _totals(session, admin, _REQUESTS - each)
            command.tell(signal.SIGTERM)
            assert await command.ended() == 0
    finally:
        await sandbox.cleanup()
    lines = _lines(command)
    status, out, _ = await ran("usage", "--config", str(config), "--json", "--by", "key,model")
    assert status == 0
    usage = json.loads(out)["total"]
    known = [line for line in lines if line.get("key")]
    assert (len(lines), len(known)) == (_REQUESTS, _REQUESTS - each)
    assert sums["requests_total",] - sums["requests_total", "endpoint", "probe"] == _REQUESTS
    statuses = Counter(str(line["status"]) for line in lines)
    assert {name: sums["requests_total", "status", name] for name in statuses} == statuses
    causes = Counter(line.get("cause", "") for line in lines)
    assert {name: sums["requests_total", "cause", name] for name in causes} == causes
    assert usage["requests"] == len(known) == sums["key_requests_total",]
    rows, requests, output = _stored(tmp_path / "store.db")
    assert requests == len(known)
    # Refusals alike share rows, and none of them is lost by that.
    assert rows < requests - each
    assert usage["refused"] == sums["key_requests_total", "outcome", "refused"] == 4 * each
    assert usage["failed"] == sums["key_requests_total", "outcome", "failed"] == 2 * each
    micros = sum(line.get("cost_micros", 0) for line in lines)
    assert micros == usage["cost_micros"] == sums["key_cost_usd_total",] > 0
    assert micros == sums["model_cost_usd_total",]
    for total in pages:
        for name in _OF_PAGES:
            assert total[name] == usage[name], name
    by_source: Counter[str] = Counter()
    for line in known:
        by_source[line.get("usage_source", "none")] += line.get("cost_micros", 0)
    assert by_source["partial"] == sums["key_cost_usd_total", "source", "partial"] > 0
    told_input, whole_output, whole_micros = _served(sandbox.app[SERVED])
    assert len(sandbox.app[SERVED]) == 3 * each
    assert told_input == usage["input_tokens"]
    assert whole_output == output
    assert whole_micros == by_source["reported"] > 0
    for kind in TOKEN_KINDS:
        assert usage[f"{kind}_tokens"] == sums["key_tokens_total", "kind", kind], kind
        assert usage[f"{kind}_tokens"] == sums["model_tokens_total", "kind", kind], kind
    assert (sums["worker_up",], sums["worker_restarts_total",]) == (2, 0)
    assert sums["unpriced_requests_total",] == sums["metrics_folded_total",] == 0
