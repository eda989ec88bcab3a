"""`anyrouter statusline`: asks with the key alone, waits for nobody, and never fails."""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from fuzz.machine import slowness
from proxy.commands import statusline
from tests.support.commands import WITHIN_S, environment

SESSION_ID = "b160e3de-1111-4222-8333-444455556666"
INPUT = json.dumps({"session_id": SESSION_ID, "model": {"id": "m"}, "cost": {"total_cost_usd": 3}})
NOWHERE = "http://127.0.0.1:1"
SESSION = {
    "session": {
        "id": SESSION_ID,
        "cost_micros": 14_820_000,
        "agents_micros": 11_720_000,
        "input_tokens": 9,
        "cache_write_tokens": 0,
        "cache_read_tokens": 91,
    },
    "lines": [],
}
USAGE = {
    "extra_usage": {"used_credits": 3700.0, "monthly_limit": 5000.0, "currency": "USD"},
    "limits": [{"group": "daily", "is_active": True}],
}


async def said(given: str = INPUT, **variables: str) -> tuple[int, str, str]:
    """Run it as Claude Code does; give exit status, stdout and stderr."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "proxy", "statusline"],
        input=given,
        capture_output=True,
        encoding="utf-8",
        env=environment(**variables),
        timeout=WITHIN_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.asynccontextmanager
async def gateway(asked: list[tuple[str, str | None]], leads_to: str = "") -> AsyncIterator[str]:
    """Serve both reports, or redirect; note each path and key."""

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers.get("x-api-key")))
        if leads_to:
            raise web.HTTPFound(leads_to)
        return web.json_response(USAGE if request.path.endswith("/usage") else SESSION)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_gateway_and_its_pages_are_asked_with_the_key() -> None:
    asked: list[tuple[str, str | None]] = []
    async with gateway(asked) as url:
        told = {"ANYROUTER_URL": f"{url}/api/v1/", "ANYROUTER_KEY": "ar-k"}
        line = await said(**told, ANYROUTER_ADMIN_URL=f"{url}/view/")
    expected = "$14.82 (agents $11.72) \u00b7 today $37 of $50 \u00b7 cache 91.0 %\n"
    assert line == (0, expected, "")
    assert sorted(asked) == [
        ("/api/api/oauth/usage", "ar-k"),
        (f"/view/sessions/{SESSION_ID}.json", "ar-k"),
    ]


async def test_without_the_address_of_pages_the_session_is_left_out() -> None:
    async with gateway([]) as url:
        told = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": "ar-k"}
        assert await said("no JSON", **told) == (0, "today $37 of $50\n", "")


async def test_of_claude_codes_two_keys_the_token_goes_first() -> None:
    asked: list[tuple[str, str | None]] = []
    async with gateway(asked) as url:
        for keys in ({}, {"ANTHROPIC_AUTH_TOKEN": "ar-t"}):
            told = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "ar-a", **keys}
            assert (await said(**told))[1] == "today $37 of $50\n"
    assert [key for _, key in asked] == ["ar-a", "ar-t"]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ANYROUTER_URL": NOWHERE, "ANYROUTER_KEY": "ar-k", "ANYROUTER_ADMIN_URL": NOWHERE},
        {"ANYROUTER_URL": "file:///etc/hostname", "ANYROUTER_KEY": "ar-k"},
        {"ANYROUTER_URL": "http://[", "ANYROUTER_KEY": "ar\n\u20ac", "ANYROUTER_ADMIN_URL": "x"},
    ],
    ids=["no key", "nothing listens", "no HTTP", "nonsense"],
)
async def test_where_nothing_is_to_be_learnt_it_is_silent_and_no_failure(
    variables: dict[str, str],
) -> None:
    assert await said(**variables) == (0, "", "")


async def test_a_key_is_sent_to_its_own_gateway_only() -> None:
    elsewhere: list[tuple[str, str | None]] = []
    async with gateway(elsewhere) as other, gateway([], leads_to=f"{other}/usage") as url:
        assert await said(ANYROUTER_KEY="ar-k", ANTHROPIC_BASE_URL=other) == (0, "", "")
        assert await said(ANYROUTER_KEY="ar-k", ANYROUTER_URL=url) == (0, "", "")
    assert elsewhere == []


def test_what_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()  # Claude Code's end, which is not closed
    before = os.dup(0)
    os.dup2(reading, 0)
    monkeypatch.setattr(statusline, "_WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        args = argparse.Namespace(url=url, key="ar-k", ca=None, admin_url=url)
        try:
            assert statusline.run(args) == 0
        finally:
            os.dup2(before, 0)
            os.close(writing)
            os.close(reading)
            os.close(before)
    assert capfd.readouterr() == ("", "")


def test_who_tries_it_on_a_terminal_is_told_why_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("ANYROUTER_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "isatty", lambda number: number == 1)
    for url, needle in ((None, "a URL and a key are needed"), (NOWHERE, "no answer came")):
        args = argparse.Namespace(url=url, key="ar-k", ca=None, admin_url=None)
        assert statusline.run(args) == 0
        out, err = capfd.readouterr()
        assert (out, err.count("\n"), needle in err) == ("", 1, True)


async def test_it_costs_a_part_of_a_second_where_nothing_answers() -> None:
    """Claude Code runs it again and again; CPU time, since a machine may be busy with others: alone, 0.1 to 0.2 s."""
    unmeasured = dict.fromkeys(("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"), "")
    asked = {"ANYROUTER_URL": NOWHERE, "ANYROUTER_KEY": "ar-k", "ANYROUTER_ADMIN_URL": NOWHERE}
    variables = unmeasured | asked
    took_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        await said(**variables)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert 0 < min(took_s) / slowness() <= 0.3


def test_it_starts_without_what_serves() -> None:
    slow = ("aiohttp", "asyncio", "yaml", "jsonschema", "sqlalchemy", "rich")
    look = (
        "import sys; from proxy.__main__ import main; main(['statusline']); "
        f"print(*sorted({set(slow)!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WITHIN_S,
        check=True,
    )
    assert done.stdout.strip() == ""
