"""An aiohttp application with a gateway in it: its own page, its own middlewares, and the API under /llm.

python app.py [CONFIG]
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

import proxy

TOKENS = web.AppKey("tokens", Counter[str])
DRAIN_S = 30


@web.middleware
async def add_header(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the application on each response that can still take a header: a relayed one has been sent by now."""
    response = await handler(request)
    if not response.prepared:
        response.headers["x-served-by"] = "example"
    return response


@web.middleware
async def require_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Ask for a session on the pages; under /llm the gateway asks for its keys."""
    if request.path.startswith("/llm/") or request.cookies.get("session") == "demo":
        return await handler(request)
    raise web.HTTPUnauthorized(text="sign in first\n")


async def show_tokens(request: web.Request) -> web.Response:
    """Show how many tokens each key has had."""
    return web.json_response(request.app[TOKENS])


def make_app(config: proxy.Config) -> web.Application:
    """Make the application, with its gateway."""
    app = web.Application(middlewares=[add_header, require_session])
    tokens = app[TOKENS] = Counter[str]()
    app.router.add_get("/tokens", show_tokens)

    def count(line: bytes) -> None:
        """Take an access line: one JSON object for each request, when it has ended."""
        record = json.loads(line)
        if "usage" in record:
            tokens[record["key"]] += record["usage"].get("output_tokens", 0)

    gateway = proxy.setup(app, config, access_log=count)

    async def drain(_app: web.Application) -> None:
        gateway.draining = True  # further requests on open connections are told to go elsewhere

    app.on_shutdown.append(drain)
    return app


async def main() -> None:
    """Serve until told to stop, then let what is under way finish."""
    here = Path(__file__).with_name("config.yaml")
    config = proxy.load_config(sys.argv[1] if sys.argv[1:] else here)
    runner = web.AppRunner(make_app(config), shutdown_timeout=DRAIN_S, **proxy.RUNNER_OPTIONS)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, config.listen.hosts[0], config.listen.port).start()
        print(f"listening on {runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
