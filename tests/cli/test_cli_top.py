"""`anyrouter top` in a terminal: what it shows, how it ends, and that a gateway may start again meanwhile."""

import asyncio
import contextlib
import io
import json
import os
import pty
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from rich.console import Console

from proxy.commands.top import QUESTIONS
from proxy.commands.top_screen import Told, screen
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER
from tests.admin.viewing import viewed
from tests.store.rows import opened, row
from tests.support.commands import environment, ran, started

_WITHIN_S = 30.0
_ANSWERS = {
    "live": {"at": "2026-11-26T14:03:07Z", "in_flight": 1, "data": [{"key": "ben\x1b[31m"}]},
    "upstreams": {
        "data": [
            {
                "upstream": "acct-b",
                "state": "cooling",
                "cooling": [{}],
                "cooling_s": 41.2,
                "in_flight": 1,
                "requests": 8,
                "failures": 2,
                "cache": {"hit_share": 0.941},
            }
        ]
    },
    "usage": {
        "data": [
            {
                "key": "ci",
                "requests": 30,
                "failed": 3,
                "cost_micros": 1_000_000,
                "input_tokens": 100,
                "cache_read_tokens": 800,
                "cache_write_5m_tokens": 100,
                "cache_write_1h_tokens": 0,
            }
        ]
    },
}


class Top:
    """`anyrouter top`, in a terminal of its own."""

    def __init__(self, url: str, credential: str) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            told = {"ANYROUTER_ADMIN_URL": url, "ANYROUTER_ADMIN_KEY": credential}
            size = {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
            os.execve(
                sys.executable,
                [sys.executable, "-m", "proxy", "top"],
                environment() | told | size,
            )
        self.said = b""
        self._written = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._terminal, self._read)

    def _read(self) -> None:
        try:
            self.said += os.read(self._terminal, 1 << 16)
        except OSError:  # it has ended
            asyncio.get_running_loop().remove_reader(self._terminal)
        self._written.set()

    async def says(self, text: str, since: int = 0) -> int:
        """Wait until it has drawn a text; return how much it had written by then."""
        async with asyncio.timeout(_WITHIN_S):
            while re.search(re.escape(text).encode(), self.said[since:]) is None:
                self._written.clear()
                await self._written.wait()
        return len(self.said)

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._terminal, key.encode())

    async def ended(self) -> int:
        """Wait for the end; return the exit status."""
        _, status = await asyncio.to_thread(os.waitpid, self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    async def close(self) -> None:
        """End it."""
        asyncio.get_running_loop().remove_reader(self._terminal)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            await self.ended()
        os.close(self._terminal)


@contextlib.asynccontextmanager
async def top(url: str, credential: str = "ara-any") -> AsyncIterator[Top]:
    running = Top(url, credential)
    try:
        yield running
    finally:
        await running.close()


@contextlib.asynccontextmanager
async def admin_api(port: int = 0) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(_ANSWERS[request.match_info["what"]])

    app = web.Application()
    app.router.add_get("/admin/v1/{what}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_the_screen_is_what_the_admin_api_tells_and_q_ends_it_at_once() -> None:
    async with admin_api() as port, top(f"http://127.0.0.1:{port}") as running:
        for shown in ("acct-b", "41 s", "94.1 %", "$4.00", "2.0 req/min", "80.0 %", "ben?[31m"):
            await running.says(shown)
        seen = await running.says("by $/h")
        running.press("s")
        await running.says("by in flight", seen)
        began_s = time.monotonic()
        running.press("q")
        assert await running.ended() == 0
        assert time.monotonic() - began_s < 5  # a second, on a machine that is not busy with others


async def test_the_sums_are_those_of_all_keys_and_of_the_last_minutes_alone(
    sqlite_made: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    now_ms = int(time.time() * 1000)
    with opened(url) as engine:
        RowStore(engine).put(
            [
                *(row(n, key=f"k{n}", cost_micros=10_000, at_ms=now_ms - 1_000) for n in range(30)),
                row(99, key="k1", cost_micros=5_000_000, at_ms=now_ms - 20 * 60_000),
            ]
        )
    told = Told(15)
    live = {"at": "2026-11-26T14:03:07Z", "in_flight": 2, "data": [{"key": "k1"}], "has_more": True}
    async with viewed(url) as browser:
        answers = [
            json.loads((await browser(f"/admin/v1/{each}", headers={"x-api-key": WRITER})).text)
            for each in QUESTIONS[2:]
        ]
    told.take(live, {"data": []}, *answers)
    terminal = Console(width=160, height=80, record=True, file=io.StringIO())
    terminal.print(screen(told, "$/h"))
    drawn = terminal.export_text()
    assert "$1.20/h" in drawn
    assert len(re.findall(r"^k[0-9]+ .*[$]0[.]0400 ", drawn, re.MULTILINE)) == 30
    assert "in flight by key: of the 1 that have waited longest" in drawn


async def test_a_gateway_that_starts_again_is_waited_for() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with admin_api() as port:
            running = await stack.enter_async_context(top(f"http://127.0.0.1:{port}"))
            await running.says("acct-b")
        seen = await running.says("no answer, asked again", len(running.said))
        async with admin_api(port):
            async with asyncio.timeout(_WITHIN_S):
                while b"no answer" in running.said[seen:]:
                    seen = len(running.said)
                    await running.says("acct-b", seen)
    assert b"Traceback" not in running.said


async def test_a_real_gateway_answers_it() -> None:
    async with started("demo", "--port", "0") as command:
        page = (await command.says(b"The page that says what it costs:")).strip()
        credential = (await command.says(b"Sign in there with:")).strip()
        async with top(page, credential) as running:
            await running.says("sandbox")
            await running.says("up")


async def test_without_a_terminal_it_says_where_programs_ask() -> None:
    status, _, err = await ran("top")
    assert status != 0
    assert "/admin/v1/live" in err
