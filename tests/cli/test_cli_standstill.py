"""A process that stood still reads what came meanwhile before it judges who took too long."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.client import connected, request
from tests.support.commands import started, write_config
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, UpstreamSide, answer, chunk, raw_upstream

pytestmark = pytest.mark.no_cover  # what it runs, others run too

LIMIT_S = 1.0
STILL_S = 2.0
TIMEOUTS = ["first_byte_s", "idle_s", "request_head_s", "request_body_idle_s", "client_idle_s"]
CONFIG = f"timeouts: {{{', '.join(f'{name}: {LIMIT_S}' for name in TIMEOUTS)}}}\n"

# What the client sends before and after the standstill begins, and what the upstream does.
CLIENT: dict[str, tuple[bytes, bytes]] = {
    "a stream": (request(body=STREAM_BODY), b""),
    "a message": (request(), b""),
    "the rest of a message": (request(), b""),
    "the rest of a body": (request(body=BODY)[:-9], BODY[-9:]),
    "the rest of a head": (request()[:30], request()[30:]),
    "a request on an idle connection": (request(), request()),
}


@pytest.mark.parametrize("what", CLIENT)
async def test_what_came_while_it_stood_still_is_read_first(tmp_path: Path, what: str) -> None:
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        first, rest = {
            "a stream": (SSE_HEAD + chunk(EVENTS[0]), b"".join(map(chunk, (*EVENTS[1:], b"")))),
            "a message": (b"", answer()),
            "the rest of a message": (answer()[:-9], MESSAGE[-9:]),
        }.get(what, (answer(), b""))
        await exchange.send(first)
        asked.set()
        await stopped.wait()
        await exchange.send(rest)

    async with (
        raw_upstream(script) as upstream,
        started("serve", "--config", write_config(tmp_path, upstream.url, CONFIG)) as command,
    ):
        port = int((await command.says(b"http://127.0.0.1:")).partition("/")[0].strip())
        async with connected("127.0.0.1", port) as client:
            before, after = CLIENT[what]
            await client.send(before)
            if what == "a request on an idle connection":
                assert (await client.answer()).status == 200
            elif not after:
                await asked.wait()
            await asyncio.sleep(0.1)  # so that it is read
            command.tell(signal.SIGSTOP)
            stopped.set()
            await client.send(after)
            await asyncio.sleep(STILL_S)  # the length of the standstill is the test
            command.tell(signal.SIGCONT)
            if what == "a stream":
                assert b"message_stop" in await client.until(b"0\r\n\r\n")
            else:
                assert (await client.answer()).status == 200
