"""`anyrouter demo` and `sandbox`: the product without any preparation."""

import asyncio
import contextlib
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.commands import Command, environment, ran, started
from tests.support.gateways import BODY

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
        pasted = guide[guide.index("curl ") : guide.index("Claude Code (")].strip()
        process = await asyncio.create_subprocess_shell(
            pasted, stdout=asyncio.subprocess.PIPE, env=environment()
        )
        out, _ = await process.communicate()
    assert b"You said: say hi" in out
    assert out.endswith(b"\n")
    assert url in pasted


@pytest.mark.parametrize("command", ["demo", "demo --busy", "sandbox"])
async def test_a_port_in_use_is_one_line_and_exit_1_before_anything_is_made(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, out, err = await ran(*command.split(), "--port", str(taken.getsockname()[1]))
    assert (status, out) == (1, "")
    assert "ddress already in use" in err
    assert err.endswith("take another with --port\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_sandbox_serves_with_its_knobs(number: signal.Signals) -> None:
    async with started("sandbox", "--port", "0", "--key", "k1", "--events", "3") as command:
        url = await command.says(b"sandbox on ")
        for everyday in (signal.SIGUSR1, signal.SIGUSR2):
            command.tell(everyday)
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


async def test_the_printed_page_says_what_a_request_has_cost() -> None:
    async with demo() as (command, url, key), aiohttp.ClientSession() as session:
        page = (await command.says(b"The page that says what it costs:")).strip()
        credential = (await command.says(b"Sign in there with:")).strip()
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        headers["content-type"] = "application/json"
        async with session.post(f"{url}/v1/messages", data=BODY, headers=headers) as response:
            assert response.status == 200
        # Cookies of an address are kept only when a jar is told to.
        jar = aiohttp.CookieJar(unsafe=True)
        shown = ""
        async with aiohttp.ClientSession(cookie_jar=jar) as browser, asyncio.timeout(30):
            async with browser.post(f"{page}sign-in", data={"key": credential}) as response:
                assert response.status in {200, 503}  # 503: the store is just being made
            while re.search(r"\$0\.\d{4}", shown) is None:
                async with browser.get(page) as response:
                    shown = await response.text()
                await asyncio.sleep(0.1)  # the demo plays in another process
    assert "Traceback" not in command.text
