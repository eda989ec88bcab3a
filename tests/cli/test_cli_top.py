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
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console, RenderableType

from proxy.commands.top import QUESTIONS
from proxy.commands.top_keys import by_key, keys_table, requests_table
from proxy.commands.top_screen import Told, screen
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER
from tests.admin.viewing import viewed
from tests.store.rows import opened, row
from tests.support.commands import environment, ran, started

_WITHIN_S = 30.0
_ANSWERS: dict[str, Any] = {
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
        gone, exits = asyncio.Event(), os.pidfd_open(self._pid)
        try:
            asyncio.get_running_loop().add_reader(exits, gone.set)
            async with asyncio.timeout(_WITHIN_S):
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
        assert time.monotonic() - began_s < 5

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
async def admin_api(port: int = 0, known: Collection[str] = _ANSWERS.keys()) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what not in known:
            return web.json_response({"error": {"message": "no store"}}, status=503)
        return web.json_response(_ANSWERS[what])

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


async def test_the_screen_is_what_the_admin_api_tells_and_q_ends_it_at_once() -> None:
    async with admin_api() as port, top(f"http://127.0.0.1:{port}") as running:
        for shown in (
            *("1 of 2 workers", "acct-b", "cooling 41 s 401", "94.1 %", "71.0 %"),
            *("$4.00", "2.0 req/min", "80.0 %", "31.0 % of the day", "ben?[31m"),
        ):
            await running.says(shown)
        seen = await running.says("sorted by $/h")
        running.press("s")
        seen = await running.says("sorted by in flight", seen)
        running.press("k")
        seen = await running.says("upstream silent 14 s", seen)
        assert "b160e3de, Explore" in running.said[-4000:].decode()
        running.press("k")
        seen = await running.says("key ci", seen)
        running.press("k")
        await running.says("ben?[31m", seen)
        await running.ends_by("q")


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
async def test_it_ends_at_once_also_while_nothing_answers(key: str) -> None:
    """One that takes connections, and never says anything."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with top(f"http://127.0.0.1:{port}") as running:
            async with asyncio.timeout(_WITHIN_S):
                await asked.wait()
            await running.ends_by(key)


async def test_without_a_store_what_is_in_flight_is_shown() -> None:
    async with (
        admin_api(known=("live", "upstreams")) as port,
        top(f"http://127.0.0.1:{port}") as running,
    ):
        for shown in ("acct-b", "ben?[31m", "no store"):
            await running.says(shown)


@pytest.mark.parametrize(
    ("budgets", "shown"),
    [
        ({}, "-"),
        ({"day": (50, 50, False)}, "over, 00:00"),
        ({"day": (0, 0, False)}, "over, 00:00"),
        ({"day": (50, 0, False), "month": (50, 60, False)}, "over, 2026-11-27"),
        ({"day": (50, 60, True)}, "##### 120.0 % of the day"),
        ({"month": (50, 1, False)}, "----- 2.0 % of the month"),
    ],
    ids=["none", "spent", "nothing allowed", "the fuller one", "only watched", "little"],
)
def test_a_keys_budget_is_that_of_which_most_is_spent(
    budgets: dict[str, tuple[int, int, bool]], shown: str
) -> None:
    told = {
        period: {
            "limit_micros": limit,
            "spent_micros": spent,
            "shadow": shadow,
            "resets_at": "2026-11-27T00:00:00Z",
        }
        for period, (limit, spent, shadow) in budgets.items()
    }
    limits = [{"subject": "key ci", "budgets": told}]
    (key,) = by_key([{"key": "ci"}], [], limits, "$/h")
    drawn = drawn_of(keys_table([key], 15))
    assert drawn.splitlines()[1].endswith(f" {shown}")


def test_what_clients_choose_is_shown_as_it_is_and_what_is_not_known_yet_as_such() -> None:
    """Of rich's markup: what ends nothing would end this, too."""
    sent = {
        "id": "req_1",
        "key": "ci",
        "doing": "receiving",
        "session_id": "[/b]a",
        "agent_type": "[red]b",
        "agent_id": None,
        "upstream": None,
        "age_ms": 1,
    }
    drawn = drawn_of(requests_table([sent], "ci")).splitlines()[1]
    assert drawn.split() == ["req_1", "[/b]a,", "[red]b", "receiving", "-", "1.0", "ms"]
    (key,) = by_key([{"key": "[/]"}], [], [], "$/h")
    assert "[/]" in drawn_of(keys_table([key], 15))


def drawn_of(what: RenderableType) -> str:
    terminal = Console(width=160, height=80, record=True, file=io.StringIO())
    terminal.print(what)
    return "\n".join(line.rstrip() for line in terminal.export_text().splitlines())


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
    live = {
        "at": "2026-11-26T14:03:07Z",
        "in_flight": 2,
        "workers": 1,
        "workers_silent": 0,
        "data": [{"key": "k1"}],
        "has_more": True,
    }
    async with viewed(url) as browser:
        answers = [
            json.loads((await browser(f"/admin/v1/{each}", headers={"x-api-key": WRITER})).text)
            for each in QUESTIONS[2:4]
        ]
    told.take([live, {"data": []}, *answers, None])
    drawn = drawn_of(screen(told, "$/h"))
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
