"""Out of file descriptors: refused as overloaded, one line in the log, and well again once some are free."""

import asyncio
import contextlib
import gzip
import zlib
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.support.certificates import CA, server_context
from tests.support.client import connected, request, talk
from tests.support.commands import environment, started, status_of, write_config
from tests.support.gateways import BODY, HEADERS, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, Exchange, answer, chunk, raw_upstream

pytestmark = pytest.mark.no_cover  # what it runs, others run too

LISTENING = b"listening on http://127.0.0.1:"
FEW = 200
# `anyrouter` that may have few files open.
SHORT = (
    f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW}, {FEW}));"
    "from proxy.__main__ import main; raise SystemExit(main())"
)
# `anyrouter` that tells of every file it opens once it listens.
TELLING = """
import logging, sys
from proxy.__main__ import main
class Listening(logging.Filter):
    def filter(self, record):
        if record.getMessage().startswith("listening on"):
            sys.addaudithook(told)
        return True
def told(event, args):
    if event == "open" and args[0] != "/dev/tty":
        sys.stderr.write(f"OPENED {args[0]}\\n")
        sys.stderr.flush()
    elif event == "import":
        sys.stderr.write(f"IMPORTED {args[0]}\\n")
        sys.stderr.flush()
logging.getLogger("anyrouter").addFilter(Listening())
raise SystemExit(main())
"""


async def ready(port: int) -> None:
    """Wait until the process has noticed that connections have gone."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        while True:
            if await status_of(session, f"http://127.0.0.1:{port}/readyz") == 200:
                return
            await asyncio.sleep(0.05)  # another process: there is no event to wait for


async def test_idle_connections_give_way_to_those_beyond_the_files(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, program=("-c", SHORT)) as command:
            port = int(await command.says(LISTENING))
            async with contextlib.AsyncExitStack() as clients:
                for _ in range(FEW):
                    client = await clients.enter_async_context(connected("127.0.0.1", port))
                    await client.send(request())
                    assert (await client.answer()).status == 200
            await ready(port)
            command.tell()
            assert await command.ended() == 0
    assert b"Traceback" not in command.err


async def test_calls_for_which_no_file_is_left_are_refused_as_overloaded(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await go_on.wait()
        await exchange.send(b"".join(map(chunk, EVENTS[1:])) + chunk(b""))

    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, program=("-c", SHORT)) as command:
            port = int(await command.says(LISTENING))
            async with contextlib.AsyncExitStack() as clients:
                # Within three quarters of the files; an upstream for each of them would be beyond all.
                waiting = [
                    await clients.enter_async_context(connected("127.0.0.1", port))
                    for _ in range(FEW // 2)
                ]
                for client in waiting:
                    await client.send(b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
                    assert (await client.answer()).status == 200
                for client in waiting:
                    await client.send(request(body=STREAM_BODY))
                statuses = Counter([(await client.answer()).status for client in waiting])
                assert set(statuses) == {200, 529}
            go_on.set()
            await ready(port)
            command.tell()
            assert await command.ended() == 0
    assert b'"cause":"out_of_files"' in command.out
    assert b"Traceback" not in command.err
    assert command.err.count(b"\n") < 20


ELSEWHERE = """\
listen: {{port: 0}}
upstreams:
  first: {{base_url: "{url}", auth: {{scheme: x-api-key, key: "${{UPSTREAM_KEY}}"}}}}
  closed: {{base_url: "{scheme}://localhost:1"}}
  unknown: {{base_url: "{scheme}://nowhere.invalid"}}
  stranger: {{base_url: "{other}"}}
models:
  - {{id: anthropic/closed, upstream: closed}}
  - {{id: anthropic/unknown, upstream: unknown}}
  - {{id: anthropic/stranger, upstream: stranger}}
  - {{id: "anthropic/*", upstream: first}}
keys: [{{name: tester, key: "${{CLIENT_KEY}}"}}]
"""
SAID = {
    "stream": SSE_HEAD + b"".join(map(chunk, EVENTS)) + chunk(b""),
    "half a stream": SSE_HEAD + chunk(EVENTS[0]) + chunk(b""),
    "half a pair": answer(MESSAGE.replace(b"Hi", b"\\ud83d")),
    "utf-16": answer(MESSAGE.decode().encode("utf-16")),
    "utf-32": answer(MESSAGE.decode().encode("utf-32")),
    "a byte order mark": answer(b"\xef\xbb\xbf" + MESSAGE),
    "html": answer(b"<html>"),
    "an odd head": answer(MESSAGE, b"200 \xfc", b"x-odd: \xff"),
    "no http": b"garbage\r\n\r\n",
}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_file_is_opened_and_no_module_imported_once_it_listens(
    tmp_path: Path, scheme: str
) -> None:
    async def script(exchange: Exchange) -> None:
        wanted = exchange.head.partition(b"x-say: ")[2].partition(b"\r\n")[0].decode()
        await exchange.send(SAID.get(wanted, answer()))

    good: tuple[str, bytes, dict[str, str]] = ("/v1/messages", BODY, {})
    asked = [
        good,
        *(("/v1/messages", BODY, {"x-say": each}) for each in SAID),
        ("/v1/messages", STREAM_BODY, {"x-say": "stream"}),
        ("/v1/messages/count_tokens", BODY, {}),
        ("/v1/messages", gzip.compress(BODY), {"content-encoding": "gzip"}),
        ("/v1/messages", zlib.compress(BODY), {"content-encoding": "deflate"}),
        ("/v1/messages", BODY, {"content-encoding": "br"}),
        ("/v1/messages", BODY[:-2], {}),
        ("/v1/messages", b"{}", {}),
        ("/v1/messages", BODY.decode().encode("utf-16"), {}),
        ("/v1/messages", BODY.replace(b'"user"', b"7"), {}),
        ("/v1/messages", BODY.replace(b"64", b'"many"'), {}),
        ("/v1/messages/count_tokens", b"{}", {}),
        ("/v1/messages", BODY.replace(b"anthropic/", b"other/"), {}),
        ("/v1/messages", BODY, {"x-api-key": "ar-wrong"}),
        ("/v1/messages", BODY, {"anthropic-version": "never"}),
        ("/v1/messages", BODY, {"content-type": "text/plain"}),
        ("/v1/messages", BODY, {"content-type": "application/json; charset=utf-16"}),
        ("/v1/nothing", BODY, {}),
        ("/healthz", BODY, {}),
        *(
            ("/v1/messages", BODY.replace(b"claude-sonnet-4.6", each), {})
            for each in (b"closed", b"unknown", b"stranger")
        ),
    ]
    tls = None if scheme == "http" else server_context()
    async with (
        raw_upstream(script, tls, "localhost") as upstream,
        raw_upstream(script, server_context("stranger"), "localhost") as stranger,
    ):
        config = tmp_path / "config.yaml"
        config.write_text(
            ELSEWHERE.format(url=upstream.url, scheme=scheme, other=stranger.url), "utf-8"
        )
        env = environment(SSL_CERT_FILE=str(CA))
        async with started(
            "serve", "--config", config, program=("-c", TELLING), env=env
        ) as command:
            port = int(await command.says(LISTENING))
            statuses = Counter[int]()
            async with aiohttp.ClientSession() as session:
                for path, body, headers in asked:
                    url = f"http://127.0.0.1:{port}{path}"
                    async with session.post(
                        url, data=body, headers={**HEADERS, **headers}
                    ) as response:
                        await response.read()
                        statuses[response.status] += 1
                for path in ("/healthz", "/readyz", "/", "/api/hello", "/v1/models"):
                    await status_of(session, f"http://127.0.0.1:{port}{path}", **HEADERS)
                await talk("127.0.0.1", port, b"no HTTP\r\n\r\n")
            await command.says(b'"method":"-"')
            before = command.text
            command.tell()
            assert await command.ended() == 0
    assert statuses[200] >= 8
    assert not statuses[500]
    lines = [line for line in before.splitlines() if line.startswith(("OPENED", "IMPORTED"))]
    assert not lines
