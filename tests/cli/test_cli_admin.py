"""`anyrouter serve` with `admin`: one process more, which requests do not notice."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp

from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.test_cli_workers import children, listens
from tests.support.commands import WITHIN_S, Command, started, write_config
from tests.support.gateways import BODY, HEADERS

ADMIN_KEY = "ara-0123456789-abcdefghijklmnopq"
LISTENING = b"listening on http://127.0.0.1:"
API = b"the admin API listens on http://127.0.0.1:"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _config(folder: Path, upstream_url: str) -> Path:
    return write_config(
        folder,
        upstream_url,
        f"""\
store: {{url: "sqlite:///store.db", state_dir: state}}
quota: {{each_key: {{budgets: {{day_usd: 100}}}}}}
admin: {{port: {_free_port()}, keys: [{{name: ops, key: {ADMIN_KEY}, role: write}}]}}
""",
    )


async def _ask(session: aiohttp.ClientSession, port: str, method: str, path: str) -> Any:
    """Ask the admin API until it answers: its process may just be started again."""
    url = f"http://127.0.0.1:{port}/admin/v1{path}"
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with session.request(
                    method, url, headers={"x-api-key": ADMIN_KEY}
                ) as response:
                    if response.status < 500:
                        return await response.json()
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)  # another process: there is no event to wait for


async def _message(session: aiohttp.ClientSession, port: str) -> int:
    url = f"http://127.0.0.1:{port}/api/v1/messages"
    async with session.post(url, data=BODY, headers=HEADERS) as response:
        await response.read()
        return response.status


async def _ports(command: Command) -> tuple[str, str]:
    admin = (await command.says(API)).partition("/")[0]
    return (await command.says(LISTENING)).strip('"},'), admin


async def test_the_admin_api_tells_what_its_worker_counts_and_comes_back_when_it_is_killed(
    tmp_path: Path,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        config = _config(tmp_path, f"http://127.0.0.1:{sandbox.addresses[0][1]}")
        command = await stack.enter_async_context(started("serve", "--config", str(config)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        port, admin = await _ports(command)
        assert await _message(session, port) == 200
        told = await _ask(session, admin, "GET", "/limits/key/tester")
        once = told["budgets"]["day"]["spent_micros"]
        assert once > 0
        assert told["state"] == "local"
        (upstream,) = (await _ask(session, admin, "GET", "/upstreams"))["data"]
        assert (upstream["state"], upstream["requests"], upstream["failures"]) == ("up", 1, 0)
        ledger = await _ask(session, admin, "GET", "/ledger")
        assert (ledger["workers"], ledger["workers_silent"]) == (1, 0)
        workers = children(command)
        assert len(workers) == 2
        killed = next(pid for pid in workers if listens(pid, int(admin)))
        os.kill(killed, signal.SIGKILL)
        assert await _message(session, port) == 200
        told = await _ask(session, admin, "GET", "/limits/key/tester")
        assert told["budgets"]["day"]["spent_micros"] == 2 * once
        command.process.send_signal(signal.SIGTERM)
        assert await command.process.wait() == 0
