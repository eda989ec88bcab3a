"""`anyrouter top` in a terminal of its own, and an admin API that says the same each time."""

import asyncio
import contextlib
import os
import pty
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

from aiohttp import web

from tests.support.commands import environment

WITHIN_S = 30.0
TIMES = {
    "requests": 8,
    "first_byte_ms": {"p50": 412, "p95": 4_800},
    "total_ms": {"p50": 9_100, "p95": 61_000},
}
ANSWERS: dict[str, Any] = {
    "live": {
        "at": "2026-11-26T14:03:07Z",
        "in_flight": 1,
        "workers": 2,
        "workers_silent": 1,
        "data": [
            {
                "id": "req_01a",
                "key": "ben\x1b[31m",
                "doing": "upstream silent 14 s",
                "session_id": "b160e3de-1111",
                "agent_type": "Explore",
                "upstream": "acct-b",
                "age_ms": 21_000,
            }
        ],
    },
    "upstreams": {
        "data": [
            {
                "upstream": "acct-b",
                "state": "cooling",
                "cooling": [{}],
                "cooling_s": 41.2,
                "reason": "401",
                "account": {"at": "", "tokens": {"limit": 1000, "remaining": 710}},
                "in_flight": 1,
                "requests": 8,
                "failures": 2,
                "cache": {"hit_share": 0.941},
                "times": TIMES,
            }
        ],
        "times": {"since": "2026-11-26T13:48:07Z", **TIMES},
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
    "limits": {
        "data": [
            {
                "subject": "key ci",
                "budgets": {
                    "day": {
                        "limit_micros": 50_000_000,
                        "spent_micros": 15_500_000,
                        "resets_at": "2026-11-27T00:00:00Z",
                        "shadow": False,
                    },
                    "month": {
                        "limit_micros": 400_000_000,
                        "spent_micros": 40_000_000,
                        "resets_at": "2026-12-01T00:00:00Z",
                        "shadow": False,
                    },
                },
            }
        ]
    },
}


class Top:
    """`anyrouter top`, in a terminal of its own."""

    def __init__(self, url: str, credential: str) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            # Whoever has started the tests may have had it ignored, as shells do for what runs in the background.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
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
        async with asyncio.timeout(WITHIN_S):
            while re.search(re.escape(text).encode(), self.said[since:]) is None:
                self._written.clear()
                await self._written.wait()
        return len(self.said)

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._terminal, key.encode())

    async def ended(self) -> int:
        """Wait for the end; return the exit status."""
        gone, exits = asyncio.Event(), os.pidfd_open(self._pid)
        try:
            asyncio.get_running_loop().add_reader(exits, gone.set)
            async with asyncio.timeout(WITHIN_S):
                await gone.wait()
        finally:
            asyncio.get_running_loop().remove_reader(exits)
            os.close(exits)
        return self._reap()

    def _reap(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    async def ends_by(self, key: str) -> None:
        """Press a key that ends it, and wait until it has."""
        began_s = time.monotonic()
        self.press(key)
        assert await self.ended() == 0
        # A second, on a machine that is not busy with others; what nobody answers is given up after fifteen.
        assert time.monotonic() - began_s < 12

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
async def admin_api(port: int = 0, known: Collection[str] = ANSWERS.keys()) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what not in known:
            return web.json_response({"error": {"message": "no store"}}, status=503)
        return web.json_response(ANSWERS[what])

    app = web.Application()
    app.router.add_get("/admin/v1/{what}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
