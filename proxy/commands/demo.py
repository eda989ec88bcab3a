"""`anyrouter demo`: gateway and sandbox upstream in one process, ready to try."""

import argparse
import contextlib
import secrets
from collections.abc import Sequence

import uvloop

from proxy.access import keys
from proxy.app import assemble
from proxy.commands import options, standard_files
from proxy.commands.parser import add_command
from proxy.config import Log
from proxy.demo.folder import folder
from proxy.demo.pages import listening, pages
from proxy.demo.setting import MODEL, Place, demo_config
from proxy.gateway import GATEWAY
from proxy.sandbox import Knobs, serve_sandbox
from proxy.server.serve import serve
from proxy.server.signals import ignore_user_signals
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.log import logging_to
from proxy.telemetry.looks import look_for
from proxy.telemetry.sink import BufferedSink
from proxy.version import __version__

_GUIDE = """\
AnyRouter {version}, a demo: a gateway, and behind it a sandbox that answers like the API. Ctrl-C ends it.

Your key, for this run:  {key}

Try it:
  curl -s {url}/v1/messages -w '\\n' -H 'x-api-key: {key}' \\
    -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \\
    -d '{{"model": "{model}", "max_tokens": 64, "messages": [{{"role": "user", "content": "say hi"}}]}}'

Claude Code (npm install -g @anthropic-ai/claude-code@latest):
  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={key} claude --model {model}

Python (pip install anthropic):
  anthropic.Anthropic(base_url="{url}", api_key="{key}")

TypeScript (npm install @anthropic-ai/sdk), in a file hi.mjs:
  new Anthropic({{ baseURL: "{url}", apiKey: "{key}" }})

The page that says what it costs:  {page}
Sign in there with:  {operator}
"""
_POOL_GUIDE = """
Two accounts: all requests go to `first`, and to `second` what it declines. A request's line below names both when it
was declined (`via first:529>second`), the one that answered when its own was not asked (`via second`), and none when
its own has answered. Add one of these to the curl above:
  -H 'x-sandbox: status=529'                    first is overloaded: second answers
  -H 'x-sandbox: status=429,retry_after=60'     first is over its limit: it is left alone for a minute
"""


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "demo",
        "a gateway with a sandbox behind it, ready to try",
        "Starts a gateway and a sandbox that answers like the API, in one process, and prints a key and what to type: "
        "no account, no configuration, no network needed. Ctrl-C ends it.",
        examples=("anyrouter demo", "anyrouter demo --port 9000", "anyrouter demo --pool"),
    )
    parser.add_argument(
        "--pool",
        action="store_true",
        help="two accounts in a pool, the first of which fails when a header says so",
    )
    parser.add_argument("--port", type=options.port, default=8080, help="default: %(default)s")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    ignore_user_signals()
    with logging_to(standard_files.errors(), Log(format="text")):
        stream = standard_files.output()
        sink = BufferedSink(stream)
        try:
            access_log = AccessLog(sink, Log(), look_for("text", stream))
            uvloop.run(_demo(args.port, access_log, pool=args.pool))
        finally:
            sink.close()
    return 0


async def _demo(port: int, access_log: AccessLog, *, pool: bool) -> None:
    async with contextlib.AsyncExitStack() as stack:
        urls: list[str] = []
        for _ in range(2 if pool else 1):
            sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
            stack.push_async_callback(sandbox.cleanup)
            urls.append(f"http://127.0.0.1:{sandbox.addresses[0][1]}")
        listener = stack.enter_context(listening(port and port + 1))
        page_port = listener.getsockname()[1]
        place = Place(port, page_port, stack.enter_context(folder()), keys.new_key(), _credential())
        config = demo_config(place, urls)
        app = assemble(config, access_log)
        begin = await stack.enter_async_context(pages(app[GATEWAY], listener))

        def ready(addresses: Sequence[tuple[str, int]]) -> None:
            url = f"http://127.0.0.1:{addresses[0][1]}{config.listen.base_path}"
            guide = _GUIDE + _POOL_GUIDE if pool else _GUIDE
            standard_files.say(
                guide.format(
                    version=__version__,
                    key=place.key,
                    url=url,
                    model=MODEL,
                    page=f"http://127.0.0.1:{page_port}/",
                    operator=place.operator,
                )
            )
            begin()

        await serve(app, config, ready)


def _credential() -> str:
    return f"ara-{secrets.token_urlsafe(32)}"
