"""The two ways the tests talk to a running sandbox: an HTTP client and bare bytes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, ClientSession, web

from proxy.sandbox import Knobs

HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}


def call(text: Any = "say hi", **members: Any) -> dict[str, Any]:
    """Return a Messages request with one user message."""
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": text}],
    } | members


@dataclass
class Sandbox:
    """A running sandbox and a client for it."""

    runner: web.AppRunner
    session: ClientSession
    url: str = field(init=False)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def post(
        self, body: Any, knobs: str = "", path: str = "/v1/messages", **headers: str
    ) -> ClientResponse:
        """POST a JSON body; the response's body is not read yet."""
        return await self.session.post(
            self.url + path, json=body, headers=HEADERS | {"x-sandbox": knobs} | headers
        )

    async def message(self, body: Any, knobs: str = "") -> Any:
        """Return the answered message object."""
        async with await self.post(body, knobs) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def events(self, body: Any, knobs: str = "") -> list[Any]:
        """Return the payloads of the answered stream."""
        async with await self.post(body | {"stream": True}, knobs) as response:
            assert response.status == 200, await response.text()
            return payloads(await response.read())

    async def error(self, body: Any, knobs: str = "", path: str = "/v1/messages") -> Any:
        """Return (status, error type, message) of a refused request."""
        async with await self.post(body, knobs, path) as response:
            error = (await response.json())["error"]
            return response.status, error["type"], error["message"]

    async def raw(self, body: Any, knobs: str) -> bytes:
        """Return every byte of the connection until the sandbox closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        sent = json.dumps(body).encode()
        head = (
            "POST /v1/messages HTTP/1.1\r\nHost: sandbox\r\nx-api-key: k\r\n"
            f"anthropic-version: 2023-06-01\r\nx-sandbox: {knobs}\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n"
        )
        writer.write(head.encode() + sent)
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received


def payloads(stream: bytes) -> list[Any]:
    """Parse a stream strictly: every event is named as its payload's type."""
    assert stream.endswith(b"\n\n")
    found = []
    for frame in stream.decode().removesuffix("\n\n").split("\n\n"):
        name, body = frame.split("\n")
        payload = json.loads(body.removeprefix("data: "))
        assert name == f"event: {payload['type']}"
        found.append(payload)
    return found


def text_of(events: list[Any]) -> str:
    """Return the text of a stream's text deltas."""
    return "".join(
        event["delta"]["text"]
        for event in events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta"
    )


Start = Callable[[Knobs], Awaitable[Sandbox]]
