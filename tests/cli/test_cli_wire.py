"""The start says whether the fast paths past aiohttp are used. `ANYROUTER_PLAIN` takes them off, changing nothing."""

import json
import re
from pathlib import Path

from tests.support.client import Response, connected, request
from tests.support.commands import environment, started, write_config
from tests.support.gateways import STREAM_BODY
from tests.support.raw import EVENTS, SSE_HEAD, UpstreamSide, answer, chunk, raw_upstream

LISTENING = b"listening on http://127.0.0.1:"
# To aiohttp, what is no HTTP is of HTTP/1.0, where a connection is closed without a word.
VARYING = ("date", "request-id", "connection")
LARGE = json.dumps({"model": "anthropic/m", "max_tokens": 1, "messages": [], "x": "x" * 200_000})
REFUSED = answer(b'{"type":"error","error":{"type":"api_error","message":"m"}}', b"500 Oops")
ASKED = {
    "a message": request(),
    "a large one": request(body=LARGE.encode()),
    "a stream": request(body=STREAM_BODY),
    "a count of tokens": request(path=b"/v1/messages/count_tokens"),
    "an error of the upstream's": request(body=STREAM_BODY, path=b"/v1/messages?refuse"),
    "a head that cannot be sent on": request(path=b"/v1/messages?control"),
    "an upstream that says nothing": request(path=b"/v1/messages?close"),
    "no key": request(headers={"x-api-key": "none"}),
    "no such path": request(path=b"/v1/nothing"),
    "a model": b"GET /v1/models/anthropic%2Fnone HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "no HTTP": b"no HTTP\r\n\r\n",
}


async def script(exchange: UpstreamSide) -> None:
    """Answer as the path asks."""
    target = exchange.head.split(b" ", 2)[1]
    if target.endswith(b"?refuse"):
        await exchange.send(REFUSED)
    elif target.endswith(b"?control"):
        await exchange.send(answer(b"{}", b"200 OK", b"x-odd: \x01"))
    elif target.endswith(b"?close"):
        exchange.writer.close()
    elif b'"stream": true' in exchange.body:
        await exchange.send(SSE_HEAD)
        for part in (*map(chunk, EVENTS), chunk(b"")):
            await exchange.send(part)
    else:
        await exchange.send(answer())


async def answered(folder: Path, url: str, plain: str, said: str) -> dict[str, object]:
    """Start a gateway, ask it everything, and end it; return what does not vary of its answers."""
    config = write_config(folder, url)
    seen: dict[str, object] = {}
    async with started(
        "serve", "--config", config, env=environment(ANYROUTER_PLAIN=plain)
    ) as command:
        port = int(await command.says(LISTENING))
        assert said in await command.says(b"aiohttp ")
        for what, sent in ASKED.items():
            async with connected("127.0.0.1", port) as client:
                await client.send(sent)
                seen[what] = unvarying(await client.answer())
        command.tell()
        assert await command.ended() == 0
    return seen


def unvarying(response: Response) -> object:
    headers = [each for each in response.headers.items() if each[0].lower() not in VARYING]
    return response.status, sorted(headers), re.sub(rb"req_\w+", b"req_", response.body)


async def test_both_wires_answer_alike(tmp_path: Path) -> None:
    async with raw_upstream(script) as upstream:
        fast = await answered(tmp_path, upstream.url, "", "fast paths")
        plain = await answered(tmp_path, upstream.url, "1", "public API only")
    assert plain == fast
