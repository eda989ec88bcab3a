"""Several workers that count in Redis keep one limit, and one that is killed gives back what it held."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import aiohttp

from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.test_cli_workers import LISTENING, all_gone, all_listen
from tests.support.commands import Command, started, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY
from tests.support.redis_server import RedisServer

LEASES = "{ar:default}:l:key tester"
STREAMS = 50


def _config(folder: Path, upstream: str, redis: RedisServer, limits: str) -> Path:
    path = write_config(folder, upstream, f'redis: {{url: "{redis.url}", timeout_ms: 5000}}\n')
    text = path.read_text("utf-8")
    path.write_text(
        text.replace('"${CLIENT_KEY}"}', f'"${{CLIENT_KEY}}", limits: {limits}}}'), "utf-8"
    )
    return path


async def _port(command: Command) -> int:
    return int(await command.says(LISTENING))


async def _statuses(port: int, count: int) -> list[int]:
    """Ask on connections of their own, so that both workers are asked."""

    async def one() -> int:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(
                f"http://127.0.0.1:{port}/api/v1/messages", data=BODY, headers=HEADERS
            ) as response,
        ):
            await response.read()
            return response.status

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_of_many_at_once_exactly_the_limit_passes(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    upstream = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
    config = _config(tmp_path, upstream, redis_server, "{requests_per_minute: 5}")
    try:
        async with started("serve", "--config", config, "--workers", "2") as command:
            port = await _port(command)
            await all_listen(command, port, 2)
            statuses = await _statuses(port, 40)
            # Twelve seconds win the next one back, and a machine can be slow.
            assert 5 <= statuses.count(200) <= 7
            assert statuses.count(200) + statuses.count(429) == 40
    finally:
        await sandbox.cleanup()


async def test_the_slots_of_a_killed_worker_are_leases_and_the_other_goes_on(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs(ttfb=30))
    upstream = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
    config = _config(tmp_path, upstream, redis_server, f"{{max_in_flight: {STREAMS}}}")
    try:
        async with started("serve", "--config", config, "--workers", "2") as command:
            port = await _port(command)
            workers = await all_listen(command, port, 2)
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{port}/api/v1/messages"
                asking = [
                    asyncio.create_task(_ask(session, url, STREAM_BODY)) for _ in range(STREAMS)
                ]
                with redis_server.client() as client:
                    async with asyncio.timeout(20):
                        while client.zcard(LEASES) < STREAMS:  # noqa: ASYNC110 - it is on a server
                            await asyncio.sleep(0.02)
                    os.kill(min(workers), signal.SIGKILL)
                    await all_gone({min(workers)})
                    assert await _statuses(port, 4) == [429] * 4
                    # Nobody waits half a minute: the server is told that the leases have ended.
                    old = client.zrange(LEASES, 0, -1)
                    client.zadd(LEASES, dict.fromkeys(old, 1), xx=True)
                    asking.append(asyncio.create_task(_ask(session, url, STREAM_BODY)))
                    async with asyncio.timeout(20):
                        while not set(client.zrange(LEASES, 0, -1)) - set(old):  # noqa: ASYNC110 - as above
                            await asyncio.sleep(0.02)
                for task in asking:
                    task.cancel()
                await asyncio.wait(asking)
    finally:
        await sandbox.cleanup()


async def _ask(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    with contextlib.suppress(aiohttp.ClientError):  # its worker was killed
        async with session.post(url, data=body, headers=HEADERS) as response:
            await response.read()
