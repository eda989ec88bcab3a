"""Each example is run as its page says, over real sockets, with the sandbox in the API's place."""

import asyncio
import contextlib
import dataclasses
import gzip
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy.sandbox import Knobs, serve_sandbox
from tests.docs.snippets import ROOT
from tests.support.gateways import BODY, HEADERS, KEY, STREAM_BODY

EMBED = ROOT / "examples" / "embed"
SESSION = {"cookie": "session=demo"}
WITHIN_S = 20
# What it prints is read from a pipe.
ENVIRON = {"ANTHROPIC_API_KEY": "sk-x", "TEAM_KEY": KEY, "PYTHONUNBUFFERED": "1"}


@dataclasses.dataclass(frozen=True)
class Example:
    """An example that listens."""

    url: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession


@pytest.fixture
async def embed(tmp_path: Path) -> AsyncIterator[Example]:
    """Run examples/embed, but for its port and its upstream."""
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    config = (EMBED / "config.yaml").read_text("utf-8")
    for ours, theirs in (
        ("https://api.anthropic.com", f"http://127.0.0.1:{sandbox.addresses[0][1]}"),
        ("port: 8080", "port: 0"),
    ):
        assert config.count(ours) == 1
        config = config.replace(ours, theirs)
    (tmp_path / "config.yaml").write_text(config, "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EMBED / "app.py"),
        str(tmp_path / "config.yaml"),
        env={**os.environ, "PYTHONPATH": str(ROOT), **ENVIRON},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession() as session:
            said = (await process.stdout.readline()).decode()
            yield Example(re.findall(r"http://127\.0\.0\.1:\d+", said)[0], process, session)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await sandbox.cleanup()


async def test_pages_and_api_have_each_their_own_door(embed: Example) -> None:
    tokens = embed.url + "/reports/tokens"
    async with embed.session.get(tokens) as response:
        assert (response.status, await response.text()) == (401, "<h1>Sign in first</h1>")
    async with embed.session.get(tokens, headers=SESSION) as response:
        assert (response.status, await response.json()) == (200, {})
        assert response.headers["x-served-by"] == "example"
        assert response.headers["content-encoding"] in {"gzip", "deflate"}
    messages = embed.url + "/llm/v1/messages"
    async with embed.session.post(messages, data=BODY) as response:
        assert response.status == 401
        assert (await response.json())["error"]["type"] == "authentication_error"
        assert "x-served-by" not in response.headers


async def test_the_applications_error_pages_and_the_gateways_errors_are_each_their_own(
    embed: Example,
) -> None:
    async with embed.session.get(embed.url + "/nothing", headers=SESSION) as response:
        assert (response.status, await response.text()) == (404, "<h1>Not Found</h1>")
    async with embed.session.get(embed.url + "/llm/nothing", headers=SESSION) as response:
        assert response.status == 404
        assert (await response.json())["error"]["type"] == "not_found_error"


async def test_the_applications_uploads_are_decoded_as_before(embed: Example) -> None:
    headers = {**SESSION, "content-encoding": "gzip"}
    async with embed.session.post(
        embed.url + "/upload", data=gzip.compress(bytes(5000)), headers=headers
    ) as response:
        assert await response.text() == "5000 bytes\n"
    async with embed.session.post(
        embed.url + "/llm/v1/messages",
        data=gzip.compress(BODY),
        headers={**HEADERS, "content-encoding": "gzip"},
    ) as response:
        assert response.status == 200


async def test_its_users_use_the_api_by_their_session(embed: Example) -> None:
    headers = {**HEADERS, **SESSION, "x-api-key": ""}
    url = embed.url + "/llm/v1/messages"
    async with embed.session.post(url, data=BODY, headers=headers) as response:
        assert response.status == 200
    other = BODY.replace(b"claude-sonnet-4.6", b"claude-opus-5.5")
    async with embed.session.post(url, data=other, headers=headers) as response:
        assert response.status == 403
    async with embed.session.get(embed.url + "/reports/tokens", headers=SESSION) as response:
        assert list(await response.json()) == ["anna"]


async def test_what_the_gateway_relays_is_counted_by_the_application(embed: Example) -> None:
    told = 0
    for body in (BODY, STREAM_BODY):
        async with embed.session.post(
            embed.url + "/llm/v1/messages", data=body, headers=HEADERS
        ) as response:
            assert response.status == 200
            assert "content-encoding" not in response.headers
            told += int(re.findall(rb'"output_tokens":\s*(\d+)', await response.read())[-1])
    async with embed.session.get(embed.url + "/reports/tokens", headers=SESSION) as response:
        assert await response.json() == {"team": told}
    assert told > 0


async def test_a_stream_under_way_finishes_when_the_application_is_told_to_stop(
    embed: Example,
) -> None:
    async with embed.session.post(
        embed.url + "/llm/v1/messages",
        data=STREAM_BODY,
        headers={**HEADERS, "x-sandbox": "events=8,interval=0.1"},
    ) as response:
        first = await response.content.readany()
        embed.process.send_signal(signal.SIGTERM)
        rest = await response.read()
    assert b"message_stop" not in first
    assert rest.count(b"event: message_stop") == 1
    assert await embed.process.wait() == 0


async def test_the_embedding_example_says_which_variable_it_lacks_in_one_line() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "TEAM_KEY"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EMBED / "app.py"),
        env={**environ, "PYTHONPATH": str(ROOT), "ANTHROPIC_API_KEY": "sk-x"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 1
    (line,) = said.decode().splitlines()
    assert line.startswith(f"{EMBED / 'config.yaml'}:")
    assert line.endswith(
        "environment variable TEAM_KEY is not set; export TEAM_KEY=... before the start"
    )
