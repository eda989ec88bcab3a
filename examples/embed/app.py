"""An aiohttp application with a gateway in it: its pages, its users, its middlewares, and the API under /llm.

python app.py [CONFIG]
"""

import json
import sys
from collections import Counter
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

import proxy

TOKENS = web.AppKey("tokens", Counter[str])
USERS = {"demo": proxy.Key("anna", models=("anthropic/claude-sonnet-*",))}
DRAIN_S = 30


async def find_user(request: web.Request) -> proxy.Key | None:
    """Return who is signed in: a name for the log, and the models to use. Others need a key of the gateway."""
    return USERS.get(request.cookies.get("session", ""))


@web.middleware
async def show_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Make pages of errors. Those of the gateway are for programs: they are marked, and stay as they are."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        return web.Response(
            status=error.status, text=f"<h1>{error.reason}</h1>", content_type="text/html"
        )
    if not response.prepared and proxy.FROM_GATEWAY not in response:
        response.headers["x-served-by"] = "example"
        response.enable_compression()
    return response


@web.middleware
async def require_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Ask for a session on the pages; under /llm the gateway asks who it is."""
    if request.path.startswith("/llm/") or await find_user(request) is not None:
        return await handler(request)
    raise web.HTTPUnauthorized(reason="Sign in first")


async def show_tokens(request: web.Request) -> web.Response:
    """Show how many tokens each key and each user has had."""
    return web.json_response(request.config_dict[TOKENS])


async def count_bytes(request: web.Request) -> web.Response:
    """Take an upload, compressed or not."""
    return web.Response(text=f"{len(await request.read())} bytes\n")


def make_app(config: proxy.Config) -> web.Application:
    """Make the application, with its gateway and a part of its own."""
    app = web.Application(middlewares=[show_errors, require_session])
    tokens = app[TOKENS] = Counter[str]()
    reports = web.Application()
    reports.router.add_get("/tokens", show_tokens)
    app.add_subapp("/reports", reports)
    app.router.add_post("/upload", count_bytes)

    def count(line: bytes) -> None:
        """Take an access line: one JSON object for each request, when it has ended."""
        record = json.loads(line)
        if "usage" in record:
            tokens[record["key"]] += record["usage"].get("output_tokens", 0)

    proxy.setup(app, config, access_log=count, authenticate=find_user)
    return app


if __name__ == "__main__":
    file = sys.argv[1] if sys.argv[1:] else Path(__file__).with_name("config.yaml")
    try:
        read = proxy.load_config(file)
    except proxy.ConfigError as error:
        sys.exit(str(error))  # with file and line, a line for each fault
    web.run_app(
        make_app(read), host=read.listen.hosts[0], port=read.listen.port, shutdown_timeout=DRAIN_S
    )
