"""`anyrouter top` in a terminal: what it shows, how it ends, and that a gateway may start again meanwhile."""

import asyncio
import contextlib

import pytest

from tests.cli.watching import WITHIN_S, admin_api, top
from tests.support.commands import ran, started


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
            async with asyncio.timeout(WITHIN_S):
                await asked.wait()
            await running.ends_by(key)


async def test_without_a_store_what_is_in_flight_is_shown() -> None:
    async with (
        admin_api(known=("live", "upstreams")) as port,
        top(f"http://127.0.0.1:{port}") as running,
    ):
        for shown in ("acct-b", "ben?[31m", "no store"):
            await running.says(shown)


async def test_a_gateway_that_starts_again_is_waited_for() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with admin_api() as port:
            running = await stack.enter_async_context(top(f"http://127.0.0.1:{port}"))
            await running.says("acct-b")
        seen = await running.says("no answer, asked again", len(running.said))
        async with admin_api(port):
            async with asyncio.timeout(WITHIN_S):
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
