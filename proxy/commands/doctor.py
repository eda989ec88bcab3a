"""`anyrouter doctor`: check a running gateway the way a client would use it."""

import argparse
import asyncio

from proxy.commands import options
from proxy.commands.examination import WELL_KNOWN_MODEL
from proxy.commands.parser import add_command


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "doctor",
        "check a running gateway as a client would",
        "Uses a gateway as a client does, and stops at the first thing that is wrong. "
        "The upstream is asked for two or three answers, of 16 and 64 tokens.",
        examples=(
            "anyrouter doctor",
            "anyrouter doctor --url https://llm.example.com/api --model claude-haiku-4-5",
        ),
        environment=options.GATEWAY_VARIABLES,
        exit_status={"0": "all is good", "1": "something is not; its line says what to do"},
    )
    options.add_gateway(parser)
    parser.add_argument(
        "--model",
        help=f"model to ask; default: the first the gateway lists, or {WELL_KNOWN_MODEL}",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check one thing after the other, say what was found, fail when anything is wrong."""
    # It takes as long as everything else that is imported, and is not for what serves.
    from proxy.commands.checkup import examine  # noqa: PLC0415 - imported by who needs it alone

    return asyncio.run(
        examine(options.given_url(args), options.given_key(args), args.model, args.ca)
    )
