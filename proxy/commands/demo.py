"""`anyrouter demo`: gateway and sandbox upstream in one process, ready to try."""

import argparse
import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable, Sequence

import uvloop

from proxy.access import keys
from proxy.app import assemble
from proxy.commands import options, standard_files
from proxy.commands.parser import add_command
from proxy.config import Log
from proxy.demo.accounts import Account
from proxy.demo.folder import folder
from proxy.demo.pages import listening, pages
from proxy.demo.past import store_history
from proxy.demo.player import Player
from proxy.demo.setting import BUSY_KEYS, MODEL, Place, busy_config, demo_config
from proxy.gateway import GATEWAY
from proxy.ledger.first_file import file_of, make_file
from proxy.server.addresses import bound
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

_BUSY_GUIDE = """
Scripted sessions go through it for as long as it runs. Its thirty days of history are synthetic: their tags say so.
To see what a key's holder sees, sign in with the key of {holder}:  {holders_key}
"""
# Of those who play, the one with a budget that is nearly used.
_HOLDER = BUSY_KEYS[0]
# What is played is always the same.
_SEED = 1


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "demo",
        "a gateway with a sandbox behind it, ready to try",
        "Starts a gateway and a sandbox that answers like the API, in one process, and prints a key and what to type: "
        "no account, no configuration, no network needed. Ctrl-C ends it.",
        examples=(
            "anyrouter demo",
            "anyrouter demo --port 9000",
            "anyrouter demo --pool",
            "anyrouter demo --busy",
        ),
    )
    parser.add_argument(
        "--pool",
        action="store_true",
        help="two accounts in a pool, the first of which fails when a header says so",
    )
    parser.add_argument(
        "--busy",
        action="store_true",
        help="scripted sessions of several people, with thirty days of history, so that each page shows something",
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
            uvloop.run(_demo(args.port, access_log, pool=args.pool, busy=args.busy))
        finally:
            sink.close()
    return 0


async def _demo(port: int, access_log: AccessLog, *, pool: bool, busy: bool) -> None:
    async with contextlib.AsyncExitStack() as stack:
        accounts = [Account() for _ in range(2 if pool or busy else 1)]
        for account in accounts:
            stack.push_async_callback(account.stop)
            await account.start()
        urls = [account.url for account in accounts]
        listener = stack.enter_context(listening(port and port + 1))
        page_port = listener.getsockname()[1]
        place = Place(port, page_port, stack.enter_context(folder()), keys.new_key(), _credential())
        config = demo_config(place, urls)
        if config.store is not None and (file := file_of(config.store.url)) is not None:
            make_file(file)
        secrets_by_name = {name: keys.new_key() for name in BUSY_KEYS}
        if busy and config.store is not None:
            with bound(
                config.listen.hosts, port
            ):  # else a taken port is told only after the history
                pass
            standard_files.say("Making thirty days of history ...")
            spent = await asyncio.to_thread(store_history, config.store, _SEED, _now_ms())
            config = busy_config(place, urls, secrets_by_name, spent)
        app = assemble(config, access_log)
        begin = await stack.enter_async_context(pages(app[GATEWAY], listener))
        playing: set[asyncio.Task[None]] = set()

        def ready(addresses: Sequence[tuple[str, int]]) -> None:
            url = f"http://127.0.0.1:{addresses[0][1]}{config.listen.base_path}"
            guide = _GUIDE + (_BUSY_GUIDE if busy else _POOL_GUIDE if pool else "")
            standard_files.say(
                guide.format(
                    version=__version__,
                    key=place.key,
                    url=url,
                    model=MODEL,
                    page=f"http://127.0.0.1:{page_port}/",
                    operator=place.operator,
                    holder=_HOLDER,
                    holders_key=secrets_by_name[_HOLDER],
                )
            )
            begin()
            if busy:
                player = Player(url, secrets_by_name, accounts[0], _SEED)
                playing.add(asyncio.create_task(player.run()))

        stack.push_async_callback(_end, playing)
        await serve(app, config, ready)


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _now_ms() -> int:
    return int(time.time() * 1000)


def _credential() -> str:
    return f"ara-{secrets.token_urlsafe(32)}"
