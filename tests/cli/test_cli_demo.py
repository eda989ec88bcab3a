"""`anyrouter demo`, `sandbox` and `doctor`: the product without any preparation."""

import asyncio
import contextlib
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import test_utils, web

from proxy.sandbox import Knobs, serve_sandbox
from tests.support.commands import Command, environment, ran, started
from tests.support.gateways import BODY, KEY, config_for, running

HOP_PASSES = ("x-api-key", "authorization", "anthropic-version", "content-type")
HOP_KEEPS = {"content-type", "request-id", "x-should-retry"}
GUIDE_ENDS = b"new Anthropic("


@contextlib.asynccontextmanager
async def demo() -> AsyncIterator[tuple[Command, str, str]]:
    """Give a running demo, its URL and its key."""
    async with started("demo", "--port", "0") as command:
        await command.says(GUIDE_ENDS)
        guide = command.out.decode()
        key = re.findall(r"Your key, for this run: +(\S+)", guide)[0]
        url = re.findall(r"curl -s (\S+)/v1/messages", guide)[0]
        yield command, url, key


async def test_the_guide_names_url_and_key_for_every_client() -> None:
    async with demo() as (command, url, key):
        guide = command.out.decode()
        assert key.startswith("ar-")
        assert f"ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={key} claude" in guide
        assert f'anthropic.Anthropic(base_url="{url}", api_key="{key}")' in guide
        assert f'new Anthropic({{ baseURL: "{url}", apiKey: "{key}" }})' in guide
        command.tell(signal.SIGINT)
        assert await command.ended() == 0
    assert "Traceback" not in command.text


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_printed_curl_works_when_pasted() -> None:
    async with demo() as (command, url, _):
        guide = command.out.decode()
        pasted = guide[guide.index("curl ") : guide.index("Claude Code:")].strip()
        process = await asyncio.create_subprocess_shell(
            pasted, stdout=asyncio.subprocess.PIPE, env=environment()
        )
        out, _ = await process.communicate()
    assert b"You said: say hi" in out
    assert url in pasted


async def test_doctor_finds_the_demo_good() -> None:
    async with demo() as (_, url, key):
        status, out, err = await ran("doctor", "--url", url + "/", "--key", key)
        assert (status, err) == (0, "")
        assert out.count("  good ") == 6
        assert "all good" in out
        by_environment = environment(ANYROUTER_URL=url, ANYROUTER_KEY=key)
        status, out, _ = await ran("doctor", "--model", "claude-opus-5-5", env=by_environment)
        assert (status, "claude-opus-5-5" in out) == (0, True)


async def test_doctor_fails_on_a_wrong_key() -> None:
    async with demo() as (_, url, _):
        status, out, _ = await ran("doctor", "--url", url, "--key", "ar-wrong")
    assert status == 1
    assert "BAD  models, by x-api-key: HTTP 401" in out
    assert "good a wrong key" in out


async def test_doctor_fails_where_nobody_listens(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    status, out, err = await ran("doctor", "--url", url, "--key", "ar-x")
    assert status == 1
    assert out.count("  BAD  ") == 6
    assert "Traceback" not in err


async def test_doctor_fails_on_what_is_no_gateway() -> None:
    async with started("sandbox", "--port", "0") as command:
        url = await command.says(b"sandbox on ")
        status, out, err = await ran("doctor", "--url", url, "--key", "any")
    assert status == 1
    assert "BAD  a wrong key" in out
    assert "Traceback" not in err


@contextlib.asynccontextmanager
async def buffering_hop(url: str) -> AsyncIterator[str]:
    """Give the URL of a proxy that passes an answer on once it has all of it."""

    async def pass_on(incoming: web.Request) -> web.Response:
        passed = {name: incoming.headers[name] for name in HOP_PASSES if name in incoming.headers}
        async with session.request(
            incoming.method, url + incoming.path, headers=passed, data=await incoming.read()
        ) as response:
            kept = {n: v for n, v in response.headers.items() if n.lower() in HOP_KEEPS}
            return web.Response(status=response.status, headers=kept, body=await response.read())

    hop = web.Application()
    hop.router.add_route("*", "/{path:.*}", pass_on)
    async with aiohttp.ClientSession() as session, test_utils.TestServer(hop) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_doctor_tells_a_stream_from_one_that_is_held_back() -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(interval=0.1))
    try:
        upstream = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(upstream)) as gateway:
            status, out, _ = await ran("doctor", "--url", gateway.url, "--key", KEY)
            assert (status, "good a stream: first byte after" in out) == (0, True)
            async with buffering_hop(gateway.url) as url:
                status, out, _ = await ran("doctor", "--url", url, "--key", KEY)
    finally:
        await sandbox.cleanup()
    assert status == 1
    assert "BAD  a stream: first byte after" in out
    assert "1 of 6 checks failed" in out


async def test_doctor_without_a_key_is_wrong_use() -> None:
    status, _, err = await ran("doctor")
    assert status == 2
    assert err.startswith("anyrouter: --key: ")


@pytest.mark.parametrize("command", ["demo", "sandbox"])
async def test_a_port_in_use_is_one_line_and_exit_1(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = await ran(command, "--port", str(taken.getsockname()[1]))
    assert status == 1
    assert "ddress already in use" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_sandbox_serves_with_its_knobs(number: signal.Signals) -> None:
    async with started("sandbox", "--port", "0", "--key", "k1", "--events", "3") as command:
        url = await command.says(b"sandbox on ")
        headers = {"x-api-key": "k1", "anthropic-version": "2023-06-01"}
        body = BODY.replace(b"anthropic/claude-sonnet-4.6", b"claude-sonnet-4-6")
        async with aiohttp.ClientSession() as session:
            for key, status in (("k1", 200), ("k2", 401)):
                async with session.post(
                    url + "/v1/messages", data=body, headers={**headers, "x-api-key": key}
                ) as response:
                    assert response.status == status
        command.tell(number)
        assert await command.ended() == 0
    assert command.err == b""
