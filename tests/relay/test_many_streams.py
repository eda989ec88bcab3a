"""A thousand streams at once: no event lost, nothing left over."""

import asyncio
import contextlib
import resource
import time
from collections.abc import Iterator

import aiohttp
import pytest

from proxy.sandbox import Knobs, serve_sandbox
from tests.relay.settled import settled
from tests.support.gateways import HEADERS, STREAM_BODY, config_for, running

pytestmark = pytest.mark.slow
STREAMS = 1000
DELTAS = 12


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Four sockets a stream are all in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * STREAMS + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    yield
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.usefixtures("_many_files")
async def test_a_thousand_streams_lose_no_event() -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(events=DELTAS, interval=0.05))
    url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
    try:
        async with running(config_for(url)) as gateway:
            before = len(asyncio.all_tasks())
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            started = time.monotonic()
            async with aiohttp.ClientSession(connector=connector) as session:

                async def one() -> bytes:
                    post = session.post(
                        gateway.url + "/v1/messages", data=STREAM_BODY, headers=HEADERS
                    )
                    async with post as response:
                        return await response.read()

                bodies = await asyncio.gather(*(one() for _ in range(STREAMS)))
            print(f"{STREAMS} streams: {time.monotonic() - started:.2f} s")  # noqa: T201 - for the report
            await asyncio.sleep(0)
            assert {body.count(b"event: content_block_delta\n") for body in bodies} == {DELTAS}
            assert all(body.endswith(b'"message_stop"}\n\n') for body in bodies)
            assert all(body.startswith(b"event: message_start\n") for body in bodies)
            assert len(gateway.log) == STREAMS
            assert {line.get("cause") for line in gateway.log} == {None}
            assert sum(line["bytes_out"] for line in gateway.log) == sum(map(len, bodies))
            sandbox_tasks = STREAMS  # its pooled connections keep a task each
            await settled(gateway, None, before + sandbox_tasks)
    finally:
        await sandbox.cleanup()
