"""kill -9 of a gateway under load: what was answered has its row, what was in flight too, and none comes twice.

Nor is money held for what died, once its lease has ended; and what is spent is what the ledger says.
"""

import asyncio
import contextlib
import dataclasses
import os
import random
import re
import time
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from proxy.ledger.row import Row
from proxy.sandbox import SERVED, Knobs, serve_sandbox
from tests.store.rows import days, opened, stored
from tests.support.client import request
from tests.support.commands import started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY
from tests.support.redis_server import RedisServer

# Twenty rounds by hand, which say how many requests a second they were:
# ANYROUTER_KILLS=20 .venv/bin/python -m pytest -s tests/tenancy/test_killed_gateways.py
_ROUNDS = int(os.environ.get("ANYROUTER_KILLS", "2"))
_CLIENTS, _STREAMS = 32, 16
# Of those that ask for no stream, each so often, but not before its answer has come: 240 a second together.
_EVERY_S = _CLIENTS / 240
_APART_S = 0.225
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nrequest-id: (\S+)", re.IGNORECASE)
_MOST_BYTES = 1 << 20
_PROMISED_S = 1.0
# A snapshot is up to a second old, and takes its time on a busy machine.
_SEEN_S = 2.0
_STORE = """
store: {{url: "{url}", state_dir: "{folder}"}}
quota: {{each_key: {{budgets: {{month_usd: 100000}}}}}}
"""
_REDIS = 'redis: {{url: "{url}", timeout_ms: 5000}}\n'
_HASH, _LEASES = "{ar:default}:s:key tester", "{ar:default}:l:key tester"
_MICROS_PER_CENT = 10_000
_WITHIN_S = 60


@dataclasses.dataclass
class Sent:
    """What a client knows of a request."""

    request_id: str = ""
    began_s: float = 0.0
    ended_s: float = 0.0


async def _asks(url: str, sent: list[Sent], body: bytes, every_s: float, after_s: float) -> None:
    """Ask again and again, until the gateway is gone; with as little work as can be, since it shares the machine."""
    await asyncio.sleep(after_s)  # so that streams are in all their parts at any moment
    place = URL(url)
    asked = request(body=body)
    reader, writer = await asyncio.open_connection(place.host, place.port, limit=_MOST_BYTES)
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        next_s = time.monotonic()
        while True:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            one = Sent(_ID.findall(head)[0].decode(), time.monotonic())
            sent.append(one)
            if length := _LENGTH.findall(head):
                await reader.readexactly(int(length[0]))
            else:
                await reader.readuntil(b"\r\n0\r\n\r\n")
            one.ended_s = time.monotonic()
            next_s = max(next_s + every_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())  # the load that is meant
    writer.close()


async def _killed(config: Path, sent: list[Sent], lasts_s: float) -> None:
    """Serve for a while, under load, and be killed; leave only what is promised in `sent`."""
    here: list[Sent] = []
    async with started("serve", "--config", config) as gateway, asyncio.TaskGroup() as clients:
        url = re.sub(r"\s.*", "", await gateway.says(b"listening on ")).rstrip("/")
        clients.create_task(_asks(url, here, BODY, _EVERY_S, 0))
        while not here:  # noqa: ASYNC110 - budgets wait for what was spent before: no event of this process
            await asyncio.sleep(0.01)  # as above
        # Not before: those that had waited for that would all be in the same part.
        for number in range(_STREAMS):
            clients.create_task(_asks(url, here, STREAM_BODY, 0, number * _APART_S))
        for number in range(1, _CLIENTS):
            clients.create_task(_asks(url, here, BODY, _EVERY_S, number * _EVERY_S / _CLIENTS))
        began_s, before = time.monotonic(), len(here)
        await asyncio.sleep(lasts_s)  # so long it is killed by chance
        rate = (len(here) - before) / (time.monotonic() - began_s)
        print(f"{rate:.0f} requests a second")  # noqa: T201 - to look at
        killed_s = time.monotonic()
        gateway.process.kill()
        await gateway.process.wait()
    for one in here:
        is_promised = 0 < one.ended_s < killed_s - _PROMISED_S
        has_flown = not 0 < one.ended_s < killed_s and one.began_s < killed_s - _SEEN_S
        if is_promised or has_flown:
            sent.append(dataclasses.replace(one, ended_s=one.ended_s if is_promised else 0))


async def _recovered(config: Path, folder: Path, store_url: str) -> int:
    """Let a last gateway store what the others have left; return what it knows to be spent."""
    async with started("serve", "--config", config) as gateway:
        url = re.sub(r"\s.*", "", await gateway.says(b"listening on ")).rstrip("/")
        async with asyncio.timeout(_WITHIN_S):
            while len(list((folder / "spool").iterdir())) > 1:  # noqa: ASYNC110 - see below
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
            with opened(store_url) as engine:
                in_ledger = sum(row.cost_micros for row in stored(engine))
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                spent = 0
                while spent < in_ledger:
                    async with session.get(f"{url}/api/api/oauth/usage") as response:
                        told = await response.json()
                    spent = round(told["extra_usage"]["used_credits"] * _MICROS_PER_CENT)
        gateway.tell()
        await gateway.ended()
    return spent


def _end_leases(redis: RedisServer) -> int:
    """Tell the server that all leases have ended, rather than wait for it; return how many there were."""
    with redis.client() as client:
        if members := client.zrange(_LEASES, 0, -1):
            client.zadd(_LEASES, dict.fromkeys(members, 1), xx=True)
        return len(members)


def _held(redis: RedisServer) -> tuple[int, int]:
    """Return what is held, and how many are in flight."""
    with redis.client() as client:
        return int(client.hget(_HASH, "h") or 0), client.zcard(_LEASES)


def _by_upstream(rows: list[Row]) -> dict[str, Row]:
    answered = [row for row in rows if row.upstream_request_id is not None]
    by_id = {str(row.upstream_request_id): row for row in answered}
    assert len(by_id) == len(answered), "a request has two rows"
    return by_id


@pytest.mark.slow
async def test_rows_and_money_survive_the_gateway(
    store_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Elsewhere what a dead process held is held for ever: BerriAI/litellm#30330."""
    chance = random.Random(_ROUNDS)
    # With a store that processes share, they share their counts, too.
    redis: RedisServer | None = (
        request.getfixturevalue("redis_server") if store_url.startswith("postgresql") else None
    )
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(serve_record=True, interval=1.2))
    try:
        state = tmp_path / "state"
        config = write_config(
            tmp_path,
            f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            _STORE.format(url=store_url, folder=state)
            + ("" if redis is None else _REDIS.format(url=redis.url)),
        )
        sent: list[Sent] = []
        for _ in range(_ROUNDS):
            await _killed(config, sent, chance.uniform(3, 5.5))
        if redis is not None:
            assert _end_leases(redis) > 0
        spent = await _recovered(config, state, store_url)
        served = sandbox.app[SERVED]
    finally:
        await sandbox.cleanup()
    with opened(store_url) as engine:
        rows = stored(engine)
        counted = days(engine)
    found = _by_upstream(rows)
    ended = [one for one in sent if one.ended_s]
    assert ended
    assert len(sent) > len(ended)
    for one in sent:
        row, told = found[one.request_id], served[one.request_id].usage
        assert row.input_tokens == told["input_tokens"]
        if one.ended_s:
            assert (row.cause, row.usage_source) == (None, "reported")
            assert row.output_tokens == told["output_tokens"]
        else:
            assert (row.cause, row.usage_source) in {
                ("gateway_killed", "partial"),
                (None, "reported"),  # its end came before the client could read it
            }
    assert len(rows) <= len(served)
    assert sum(day["requests"] for day in counted) == sum(row.requests for row in rows)
    cost = sum(row.cost_micros for row in rows)
    assert sum(day["cost_micros"] for day in counted) == cost
    if redis is None:
        assert spent == cost
    else:
        # Redis may know of what ended in the last moment, of which the row is lost.
        assert (
            cost
            <= spent
            <= cost + (len(served) - len(rows)) * max(each.cost_micros for each in rows)
        )
        assert _held(redis) == (0, 0)
