"""`anyrouter sandbox`: the stand-in for the API, alone."""

import argparse
import asyncio
import signal

import uvloop

from proxy.commands import options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say
from proxy.sandbox import Knobs, add_arguments, knobs_from, serve_sandbox
from proxy.server.signals import ignore_user_signals


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "sandbox",
        "run the sandbox upstream alone",
        "A stand-in for the API, which answers like it and breaks on request.",
        examples=("anyrouter sandbox", "anyrouter sandbox --port 9091 --ttfb 2 --fail-rate 0.1"),
    )
    parser.add_argument(
        "--host", type=options.host, default="127.0.0.1", help="default: %(default)s"
    )
    parser.add_argument("--port", type=options.port, default=9090, help="default: %(default)s")
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    ignore_user_signals()
    uvloop.run(_serve(args.host, args.port, knobs_from(args)))
    return 0


async def _serve(host: str, port: int, knobs: Knobs) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = await serve_sandbox(host, port, knobs)
    try:
        say(f"sandbox on http://{host}:{runner.addresses[0][1]}")
        await stop.wait()
    finally:
        await runner.cleanup()
