"""kill -9 of a gateway under load: what was answered has its row, what was in flight too, and none comes twice."""

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

from proxy.ledger.row import Row
from proxy.sandbox import SERVED, Knobs, serve_sandbox
from tests.store.rows import days, opened, stored
from tests.support.commands import started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY

# Twenty rounds by hand: ANYROUTER_KILLS=20.
_ROUNDS = int(os.environ.get("ANYROUTER_KILLS", "2"))
_CLIENTS = 16
_PAUSE_S = 0.05
_APART_S = 0.15
_PROMISED_S = 1.0
# A snapshot is up to a second old, and takes its time on a busy machine.
_SEEN_S = 2.0
_STORE = '\nstore: {{url: "{url}", state_dir: "{folder}"}}\n'
_WITHIN_S = 60


@dataclasses.dataclass
class Sent:
    """What a client knows of a request."""

    request_id: str = ""
    began_s: float = 0.0
    ended_s: float = 0.0


async def _asks(url: str, sent: list[Sent], body: bytes, after_s: float) -> None:
    """Ask again and again, until the gateway is gone."""
    await asyncio.sleep(after_s)  # so that streams are in all their parts at any moment
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                async with session.post(url, data=body) as response:
                    assert response.status == 200
                    sent.append(Sent(response.headers["request-id"], time.monotonic()))
                    one = sent[-1]
                    await response.read()
                    one.ended_s = time.monotonic()
                await asyncio.sleep(_PAUSE_S)


async def _killed(config: Path, sent: list[Sent], lasts_s: float) -> None:
    """Serve for a while, under load, and be killed; leave only what is promised in `sent`."""
    here: list[Sent] = []
    async with started("serve", "--config", config) as gateway, asyncio.TaskGroup() as clients:
        url = re.sub(r"\s.*", "", await gateway.says(b"listening on ")).rstrip("/")
        for number in range(_CLIENTS):
            body = STREAM_BODY if number % 2 else BODY
            clients.create_task(_asks(f"{url}/api/v1/messages", here, body, number * _APART_S))
        await asyncio.sleep(lasts_s)
        killed_s = time.monotonic()
        gateway.process.kill()
        await gateway.process.wait()
    for one in here:
        is_promised = 0 < one.ended_s < killed_s - _PROMISED_S
        has_flown = not 0 < one.ended_s < killed_s and one.began_s < killed_s - _SEEN_S
        if is_promised or has_flown:
            sent.append(dataclasses.replace(one, ended_s=one.ended_s if is_promised else 0))


async def _recovered(config: Path, folder: Path) -> None:
    """Let a last gateway store what the others have left."""
    async with started("serve", "--config", config) as gateway:
        await gateway.says(b"listening on ")
        async with asyncio.timeout(_WITHIN_S):
            while len(list((folder / "spool").iterdir())) > 1:  # noqa: ASYNC110 - see below
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
        gateway.tell()
        await gateway.ended()


def _by_upstream(rows: list[Row]) -> dict[str, Row]:
    answered = [row for row in rows if row.upstream_request_id is not None]
    by_id = {str(row.upstream_request_id): row for row in answered}
    assert len(by_id) == len(answered), "a request has two rows"
    return by_id


@pytest.mark.slow
async def test_rows_survive_the_gateway(store_url: str, tmp_path: Path) -> None:
    chance = random.Random(_ROUNDS)
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(serve_record=True, interval=1.2))
    try:
        state = tmp_path / "state"
        config = write_config(
            tmp_path,
            f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            _STORE.format(url=store_url, folder=state),
        )
        sent: list[Sent] = []
        for _ in range(_ROUNDS):
            await _killed(config, sent, chance.uniform(3, 5.5))
        await _recovered(config, state)
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
    assert sum(day["cost_micros"] for day in counted) == sum(row.cost_micros for row in rows)
