"""`anyrouter claude`: start Claude Code against a running gateway."""

import argparse
import asyncio
import itertools
import json
import os
import shutil
from collections.abc import Sequence
from typing import NoReturn

from proxy import client_variables
from proxy.commands import diagnosis, options
from proxy.commands.greeting import FindingError, absolute, client, greet
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors
from proxy.config_file.faults import ConfigError

_GREETED_WITHIN_S = 10.0
# What else would decide where Claude Code goes, or with which credential.
_CLASHING = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
)
_WITHOUT_VALUE = ("-h", "--help", "--print-settings")
# Which claude does not have.
_OURS_ALONE = ("--url", "--key", "--ca", "--print-settings")
_OURS = (*_OURS_ALONE, "-h", "--help")


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "claude",
        "start Claude Code against a running gateway",
        "Asks the gateway whether it knows the key, and starts `claude` with the environment that points it there and "
        "brings back what it leaves off behind other base URLs. A variable that is set already stays as it is. What "
        "follows is passed to claude.",
        examples=(
            "anyrouter claude --model anthropic/claude-sonnet-4.6",
            "anyrouter claude --url https://llm.example.com/api -p 'say hi'",
            "anyrouter claude --print-settings --url https://llm.example.com/api",
        ),
        environment={
            **options.GATEWAY_VARIABLES,
            **{
                name: f"set to {value}: {feature}" for name, value, feature in client_variables.SAFE
            },
        },
        exit_status={"other": "that of claude"},
    )
    options.add_gateway(parser)
    parser.add_argument(
        "--print-settings",
        action="store_true",
        help="print the same as managed settings of a team, all but the key, and start nothing",
    )
    parser.add_argument("args", nargs=argparse.REMAINDER, help="arguments for claude")
    parser.set_defaults(run=run)


def separate_arguments(argv: Sequence[str]) -> list[str]:
    """Put `--` before the first argument that is claude's.

    argparse leaves the rest to a command only from the first argument on that does not begin with a dash.

    Raises:
        ConfigError: one of ours is behind one of claude's, to which it would say nothing.
    """
    if argv[:1] != ["claude"]:
        return list(argv)
    at = 1
    while at < len(argv) and argv[at].partition("=")[0] in _OURS:
        at += 1 if "=" in argv[at] or argv[at] in _WITHOUT_VALUE else 2
    for each in itertools.takewhile(lambda word: word != "--", argv[at:]):
        if (flag := each.partition("=")[0]) in _OURS_ALONE:
            raise ConfigError(
                f"{flag}: goes first, before what is for claude; behind `--` it is for claude, too"
            )
    return [*argv[:at], *(["--"] if argv[at:] and argv[at] != "--" else []), *argv[at:]]


def run(args: argparse.Namespace) -> int:
    """Replace this process with Claude Code, or print what makes it use the gateway."""
    variables = {name: value for name, value, _ in client_variables.SAFE}
    if (ca := absolute(args.ca)) is not None:
        variables["NODE_EXTRA_CA_CERTS"] = ca
    if args.print_settings:
        _print_settings(options.given_url(args), variables)
        return 0
    return _start(args, variables)


def _start(args: argparse.Namespace, variables: dict[str, str]) -> NoReturn:
    program = shutil.which("claude")
    if program is None:
        raise RuntimeError(
            "claude is not installed: npm install -g @anthropic-ai/claude-code@latest"
        )
    url, key = options.given_url(args), options.given_key(args)
    name = asyncio.run(_name_of(url, key, args.ca))
    say_on_errors(f"Claude Code through {url} as {name}")
    environment = {name: value for name, value in os.environ.items() if name not in _CLASHING}
    environment = {**variables, **environment}
    environment["ANTHROPIC_BASE_URL"] = url
    environment["ANTHROPIC_AUTH_TOKEN"] = key
    passed = args.args[1:] if args.args[:1] == ["--"] else args.args
    os.execve(program, [program, *passed], environment)  # noqa: S606 - the user's own claude, no shell


async def _name_of(url: str, key: str, ca: str | None) -> str:
    """Return whose key it is: a wrong one would be minutes of silence, as would a gateway that is not there."""
    async with client(_GREETED_WITHIN_S, ca, "claude") as session:
        try:
            greeting = await greet(session, url, key)
        except FindingError as error:
            raise RuntimeError(str(error)) from None
    if greeting.key_name is None:
        raise RuntimeError(diagnosis.UNKNOWN_KEY)
    return greeting.key_name


def _print_settings(url: str, variables: dict[str, str]) -> None:
    say(json.dumps({"env": {"ANTHROPIC_BASE_URL": url, **variables}}, indent=2))
    say_on_errors(
        "This goes into managed-settings.json: in /etc/claude-code on Linux, in "
        "/Library/Application Support/ClaudeCode on macOS. Each user sets ANTHROPIC_AUTH_TOKEN to a key of "
        "the gateway, made by `anyrouter keys new NAME`."
    )
