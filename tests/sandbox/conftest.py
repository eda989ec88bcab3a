"""Running sandboxes."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, DummyCookieJar

from proxy.sandbox import Knobs, serve_sandbox
from tests.sandbox.client import Sandbox, Start


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start sandboxes with given knobs; they end with the test."""
    started: list[Sandbox] = []

    async def run(knobs: Knobs) -> Sandbox:
        runner = await serve_sandbox("127.0.0.1", 0, knobs)
        started.append(Sandbox(runner, ClientSession(cookie_jar=DummyCookieJar())))
        return started[-1]

    yield run
    for sandbox in started:
        await sandbox.session.close()
        await sandbox.runner.cleanup()


@pytest.fixture
async def sandbox(start: Start) -> Sandbox:
    """Return a sandbox with default knobs."""
    return await start(Knobs())
