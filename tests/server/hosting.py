"""Applications that have the gateway under a path of theirs."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

import proxy
from tests.support.gateways import config_for
from tests.support.raw import (
    RawUpstream,
)


@web.middleware
async def hosts_own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mark what passes the host's middleware."""
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text="the host's own 404", headers={"x-host": "1"})
    if not response.prepared:
        response.headers["x-host"] = "1"
    return response


async def page(_request: web.Request) -> web.Response:
    return web.Response(text="a page")


class Host:
    """An application that listens, with a gateway under /llm."""

    def __init__(
        self, url: str, port: int, session: aiohttp.ClientSession, gateway: proxy.Gateway
    ) -> None:
        self.url = url
        self.port = port
        self.session = session
        self.gateway = gateway
        self.log: list[dict[str, Any]] = []


@contextlib.asynccontextmanager
async def hosted(
    upstream: RawUpstream, options: dict[str, Any], **more: Any
) -> AsyncIterator[Host]:
    """Run a host; `more` goes to `setup`."""
    app = web.Application(middlewares=[hosts_own])
    app.router.add_get("/page", page)
    app.router.add_get("/llm/page", page)
    log: list[dict[str, Any]] = []
    config = config_for(upstream.url, listen=proxy.Listen(base_path="/llm"))
    gateway = proxy.setup(
        app, config, access_log=lambda line: log.append(msgspec.json.decode(line)), **more
    )
    app.router.add_get("/later", page)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            host = Host(f"http://127.0.0.1:{port}", port, session, gateway)
            host.log = log
            yield host
    finally:
        await runner.cleanup()
