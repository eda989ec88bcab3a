"""Nothing secret is ever written: a real process, every kind of request, and everything it wrote searched."""

import gzip
import re
import secrets
from pathlib import Path

import aiohttp
import pytest

from tests.support.client import connected, request, talk
from tests.support.commands import environment, started, status_of, write_config
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, UpstreamSide, answer, chunk, raw_upstream

CLIENT_KEY = "ar-canary-client-" + secrets.token_hex(12)
UPSTREAM_KEY = "sk-canary-upstream-" + secrets.token_hex(12)
WRONG_KEY = "ar-canary-wrong-" + secrets.token_hex(12)
VENDOR_KEY = "sk-ant-canary-vendor-" + secrets.token_hex(12)
COOKIE = "canary-cookie-" + secrets.token_hex(12)
QUERY = "canary-query-" + secrets.token_hex(12)
HEADER = "canary-header-" + secrets.token_hex(12)
PROMPT = "canary-prompt-" + secrets.token_hex(12)
CONTENT = "canary-content-" + secrets.token_hex(12)
ERROR = "canary-error-" + secrets.token_hex(12)
ALL = (
    CLIENT_KEY,
    UPSTREAM_KEY,
    WRONG_KEY,
    VENDOR_KEY,
    COOKIE,
    QUERY,
    HEADER,
    PROMPT,
    CONTENT,
    ERROR,
)

LISTENING = b"listening on http://127.0.0.1:"
TALKS = BODY.replace(b"say hi", PROMPT.encode())
STREAMS = STREAM_BODY.replace(b"say hi", PROMPT.encode())
PATH = f"/api/v1/messages?beta={QUERY}".encode()
FRAGMENT = EVENTS[3].replace(b"Hi", CONTENT.encode())


ANSWERS = {
    "": answer(MESSAGE.replace(b'"Hi"', f'"{CONTENT}"'.encode())),
    "stream": SSE_HEAD + b"".join(map(chunk, (*EVENTS[:3], FRAGMENT, *EVENTS[4:], b""))),
    "cut": SSE_HEAD + chunk(FRAGMENT) + chunk(FRAGMENT[:30]),
    "bad-head": b"HTTP/1.1 200 OK\r\n" + ERROR.encode() + b"\x00\r\n\r\n",
    "bad-chunk": SSE_HEAD + chunk(FRAGMENT) + CONTENT.encode() + b"\r\n",
    "bad-json-chunk": SSE_HEAD.replace(b"text/event-stream", b"application/json")
    + CONTENT.encode()
    + b"\r\n",
    "not-json": answer(ERROR.encode()),
    "refuse": answer(ERROR.encode(), b"401 Unauthorized"),
    "fail": answer(ERROR.encode(), b"500 Internal Server Error"),
    "redirect": answer(b"", b"302 Found", f"location: http://x.test/{ERROR}".encode()),
}
ENDING = {"cut", "bad-head", "bad-chunk", "bad-json-chunk"}


async def script(exchange: UpstreamSide) -> None:
    """Answer as the header x-do says."""
    found = re.search(rb"x-do: (\S+)", exchange.head)
    what = found[1].decode() if found else ""
    if what == "drop":
        exchange.reset()
    elif what == "hold":
        await exchange.until_closed()
    else:
        await exchange.send(ANSWERS[what])
        if what in ENDING:
            exchange.writer.close()


def asked(what: str = "", *lines: bytes, body: bytes = TALKS, key: str = CLIENT_KEY) -> bytes:
    """Frame a request that carries every canary it can."""
    data = request(
        f"x-do: {what}".encode(),
        f"cookie: session={COOKIE}".encode(),
        f"x-something: {HEADER}".encode(),
        f"authorization: Bearer {VENDOR_KEY}".encode(),
        b"connection: close",
        *lines,
        path=PATH,
        body=body,
    )
    return re.sub(rb"x-api-key: \S+", b"x-api-key: " + key.encode(), data)


REQUESTS = {
    "a message": asked(),
    "a stream": asked("stream", body=STREAMS),
    "compressed": asked("", b"content-encoding: gzip", body=gzip.compress(TALKS)),
    "a stream that breaks": asked("cut", body=STREAMS),
    "an upstream that drops": asked("drop"),
    "an upstream's text": asked("not-json"),
    "an upstream that refuses our key": asked("refuse"),
    "an upstream that fails": asked("fail"),
    "an upstream that redirects": asked("redirect"),
    "a wrong key": asked(key=WRONG_KEY),
    "a vendor's key": asked(key=VENDOR_KEY),
    "a bad body": asked(body=TALKS[:-3]),
    "a bad role": asked(body=TALKS.replace(b'"user"', b'["%s"]' % PROMPT.encode())),
    "not UTF-8": asked(body=TALKS.replace(b"canary-prompt", b"canary-prompt\xff")),
    "a bad encoding": asked("", b"content-encoding: gzip"),
    "an unsendable header": asked("", b"x-odd: \xff" + HEADER.encode()),
    "an unknown path": asked().replace(b"/v1/messages", b"/v1/nothing"),
    "a wrong method": asked().replace(b"POST", b"PUT"),
    "a bad header": asked("", b"x bad: " + HEADER.encode()),
    "a bad value": asked("", b"x-bad: \x00" + HEADER.encode()),
    "a key with a control character": asked(key=CLIENT_KEY + "\x01"),
    "two lengths": asked("", b"content-length: 1"),
    "no HTTP at all": f"{CLIENT_KEY} {PROMPT}\r\n\r\n".encode(),
    "a bad chunk": asked("", b"transfer-encoding: chunked", body=PROMPT.encode()),
    "a key as the method": f"{CLIENT_KEY} / HTTP/1.1\r\nHost: g\r\n\r\n".encode(),
}


GARBAGE = {
    "a head": asked("bad-head"),
    "a chunk size": asked("bad-chunk", body=STREAMS),
    "a chunk size of JSON": asked("bad-json-chunk"),
}


@pytest.mark.parametrize("more", ["", "log: {format: text, level: debug}\n"], ids=["info", "debug"])
async def test_no_canary_is_written(tmp_path: Path, more: str) -> None:
    env = environment(CLIENT_KEY=CLIENT_KEY, UPSTREAM_KEY=UPSTREAM_KEY)
    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url, more)
        async with started("serve", "--config", config, env=env) as command:
            port = int(await command.says(LISTENING))
            seen = b""
            for data in REQUESTS.values():
                seen += await talk("127.0.0.1", port, data)
            upstream.arrived.clear()
            async with connected("127.0.0.1", port) as client:
                await client.send(asked("hold"))
                await upstream.arrived.wait()
                client.leave()
            async with aiohttp.ClientSession() as session:
                assert await status_of(session, f"http://127.0.0.1:{port}/v1/models?k={QUERY}")
            await command.says(b"client_closed")
            command.tell()
            assert await command.ended() == 0
    lines = command.out.count(b"\n")
    assert lines == len(REQUESTS) + 2  # one for each, the one that left, and the list of models
    assert CONTENT.encode() in seen  # the canaries do come through where they belong
    assert any(UPSTREAM_KEY.encode() in each.head for each in upstream.requests)
    assert not [canary for canary in ALL if canary in command.text], command.text
    assert "Traceback" not in command.text


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_no_canary_of_an_upstreams_garbage_is_written(tmp_path: Path, data: bytes) -> None:
    env = environment(CLIENT_KEY=CLIENT_KEY, UPSTREAM_KEY=UPSTREAM_KEY)
    async with raw_upstream(script) as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, env=env) as command:
            await talk("127.0.0.1", int(await command.says(LISTENING)), data)
            command.tell()
            assert await command.ended() == 0
    assert not [canary for canary in ALL if canary in command.text], command.text
