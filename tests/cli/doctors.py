"""The doctor, asked of a URL."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import test_utils, web

from proxy.sandbox import Knobs, serve_sandbox
from tests.support.gateways import Running, config_for, running

HOP_PASSES = ("x-api-key", "authorization", "anthropic-version", "content-type", "x-sandbox")
HOP_KEEPS = {"content-type", "request-id", "x-should-retry"}
CHECKS = (
    *("the gateway", "models, by x-api-key", "models, by Authorization", "a wrong key"),
    *("a message", "a stream", "count_tokens"),
)
VARIABLES = {
    *("ENABLE_TOOL_SEARCH", "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING"),
    *("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", "CLAUDE_CODE_PROPAGATE_TRACEPARENT"),
    *("CLAUDE_CODE_SKIP_FAST_MODE_ORG_CHECK", "ENABLE_PROMPT_CACHING_1H"),
    *("CLAUDE_CODE_AUTO_MODE_SERVER", "CLAUDE_CODE_GATEWAY_HINT_HEADERS"),
}


Doctor = Callable[..., Awaitable[tuple[int, list[str]]]]


@contextlib.asynccontextmanager
async def gateway_and_sandbox(
    knobs: Knobs | None = None, **changes: object
) -> AsyncIterator[Running]:
    """Serve a gateway in front of a sandbox."""
    sandbox = await serve_sandbox("127.0.0.1", 0, knobs or Knobs())
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(url, **changes)) as gateway:
            yield gateway
    finally:
        await sandbox.cleanup()


def the_fault(lines: list[str]) -> str:
    """Return what is bad; nothing was tried after it."""
    marks = [line[2:6] for line in lines if line.startswith("  ")]
    bad = marks.index("BAD ")
    assert set(marks[:bad]) <= {"good", "note"}
    assert marks[bad + 1 :] == ["skip"] * (len(CHECKS) - bad - 1)
    name, _, said = lines[bad][7:].partition(": ")
    assert lines[-1].endswith(f": stopped at: {name}")
    return f"{name}: {said}"


@contextlib.asynccontextmanager
async def hop(
    url: str,
    count: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
    *,
    server: str = "",
    holds: bool = True,
    gathers_bytes: int = 0,
    with_length: bool = False,
) -> AsyncIterator[str]:
    """Give the URL of a proxy.

    Args:
        url: where it passes requests on to.
        count: counts tokens in place of what stands there.
        server: its name.
        holds: whether it passes an answer on once it has all of it, not as it comes.
        gathers_bytes: how much it waits for before it passes it on.
        with_length: whether it then tells the length.
    """

    async def pass_on(incoming: web.Request) -> web.StreamResponse:
        passed = {name: incoming.headers[name] for name in HOP_PASSES if name in incoming.headers}
        async with session.request(
            incoming.method, url + incoming.path, headers=passed, data=await incoming.read()
        ) as response:
            kept = {n: v for n, v in response.headers.items() if n.lower() in HOP_KEEPS}
            body = await response.read() if holds else b""
            passed_on = web.StreamResponse(
                status=response.status, headers={**kept, "server": server}
            )
            if with_length:
                passed_on.content_length = len(body)
            await passed_on.prepare(incoming)
            await passed_on.write(body)
            gathered = b""
            async for chunk in response.content.iter_any():
                gathered += chunk
                if len(gathered) > gathers_bytes:
                    await passed_on.write(gathered)
                    gathered = b""
            await passed_on.write(gathered)
        return passed_on

    app = web.Application()
    if count is not None:
        app.router.add_post("/v1/messages/count_tokens", count)
    app.router.add_route("*", "/{path:.*}", pass_on)
    async with aiohttp.ClientSession() as session, test_utils.TestServer(app) as serving:
        yield str(serving.make_url("")).rstrip("/")
