"""The admin process and the workers are apart: what happens to one, requests and the others don't notice."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.test_cli_admin import ADMIN_KEY, _free_port, _ports
from tests.cli.test_cli_workers import children, listens
from tests.support.commands import ROOT, WITHIN_S, Command, started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY

_STREAMS = 200
_EVENTS, _INTERVAL_S = 20, 0.1
_OF_THE_VIEW = (
    "jinja2",
    "markupsafe",
    "prometheus_client",
    "itsdangerous",
    "rich",
    "opentelemetry",
)
# A worker's own way: its application, its socket, a request, the tally.
_WORKER = """
import asyncio, sys
from proxy import Admin, AdminKey, Otel
from proxy.gateway import GATEWAY
from proxy.server.state import state_sockets
from proxy.server.tally import tally_here
from tests.support.gateways import config_for, running
import proxy.__main__

async def main():
    config = config_for(
        "http://127.0.0.1:9",
        admin=Admin(keys=(AdminKey("ops", "0" * 64),)),
        otel=Otel(propagate=("first",)),
    )
    with state_sockets(1, None) as (state,):
        async with running(config) as gateway:
            async for _ in state.serve(gateway.app):
                async with gateway.post() as response:
                    assert response.status == 502
                assert sum(count for _, count in tally_here(gateway.gateway).tally.kinds) == 1

asyncio.run(main())
print(*sorted(set(sys.argv[1:]) & set(sys.modules)))
"""


@contextlib.asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[tuple[Command, aiohttp.ClientSession]]:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    config = write_config(
        folder,
        f"http://127.0.0.1:{sandbox.addresses[0][1]}",
        f"admin: {{port: {_free_port()}, keys: [{{name: ops, key: {ADMIN_KEY}}}]}}\n",
    )
    text = config.read_text("utf-8").replace("{port: 0}", "{port: 0, workers: 2}")
    config.write_text(text, "utf-8")
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with (
            started("serve", "--config", str(config)) as command,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            yield command, session
    finally:
        await sandbox.cleanup()


async def _scraped(session: aiohttp.ClientSession, admin: str) -> dict[str, dict[str, float]]:
    """Return values by name and worker, as soon as `/metrics` answers."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{admin}/metrics") as response:
                    text = await response.text()
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)  # another process: there is no event to wait for
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            worker = each.labels.get("worker", "")
            sums = found.setdefault(each.name.removeprefix("anyrouter_"), {})
            sums[worker] = sums.get(worker, 0) + each.value
    return found


async def _stream(session: aiohttp.ClientSession, port: str) -> int:
    """Return how many deltas of a paced stream have come."""
    knobs = {"x-sandbox": f"events={_EVENTS},interval={_INTERVAL_S}"}
    url = f"http://127.0.0.1:{port}/api/v1/messages"
    async with session.post(url, data=STREAM_BODY, headers={**HEADERS, **knobs}) as response:
        return (await response.read()).count(b"event: content_block_delta")


async def test_streams_lose_nothing_while_the_admin_process_is_frozen_and_killed(
    tmp_path: Path,
) -> None:
    async with _serving(tmp_path) as (command, session):
        port, admin = await _ports(command)
        view = next(pid for pid in children(command) if listens(pid, int(admin)))
        workers = [pid for pid in children(command) if pid != view]
        # On a busy machine requests go before pages.
        (of_workers,) = {os.getpriority(os.PRIO_PROCESS, pid) for pid in workers}
        assert os.getpriority(os.PRIO_PROCESS, view) == min(of_workers + 10, 19)
        streams = asyncio.gather(*(_stream(session, port) for _ in range(_STREAMS)))
        async with asyncio.timeout(WITHIN_S):
            while True:
                if (await _scraped(session, admin))["in_flight"]["0"]:
                    break
                await asyncio.sleep(0.02)  # another process: there is no event to wait for
        os.kill(view, signal.SIGSTOP)
        async with session.post(
            f"http://127.0.0.1:{port}/api/v1/messages", data=BODY, headers=HEADERS
        ) as response:
            assert response.status == 200
        os.kill(view, signal.SIGKILL)
        await command.says(b"the admin API's process %d ended with status -9" % view)
        assert await streams == [_EVENTS] * _STREAMS
        found = await _scraped(session, admin)
        # What workers have counted outlives who shows it.
        assert sum(found["requests_total"].values()) == _STREAMS + 1
        assert found["worker_up"] == {"0": 1, "1": 1}


async def test_a_killed_workers_place_answers_again_and_nothing_of_the_dead_is_left(
    tmp_path: Path,
) -> None:
    async with _serving(tmp_path) as (command, session):
        port, admin = await _ports(command)
        for _ in range(20):
            async with session.post(
                f"http://127.0.0.1:{port}/api/v1/messages",
                data=BODY,
                headers={**HEADERS, "connection": "close"},
            ) as response:
                assert response.status == 200
        before = await _scraped(session, admin)
        assert sum(before["requests_total"].values()) == 20
        killed = next(pid for pid in children(command) if not listens(pid, int(admin)))
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await _scraped(session, admin)
                if found["worker_restarts_total"].get("0", 0) + found["worker_restarts_total"].get(
                    "1", 0
                ):
                    break
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
        assert sorted(found["worker_restarts_total"].items()) in (
            [("0", 0), ("1", 1)],
            [("0", 1), ("1", 0)],
        )
        place = "0" if found["worker_restarts_total"]["0"] else "1"
        other = "1" if place == "0" else "0"
        assert found["worker_up"] == {"0": 1, "1": 1}
        assert found["requests_total"].get(place, 0) == 0
        assert found["requests_total"].get(other, 0) == before["requests_total"].get(other, 0)
        assert (
            found["worker_start_time_seconds"][place] > before["worker_start_time_seconds"][place]
        )


def test_a_worker_loads_nothing_that_only_the_view_needs() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WORKER, *_OF_THE_VIEW, "sqlalchemy", "proxy.admin.app"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr
