"""`anyrouter claude`: start Claude Code against a running gateway."""

import argparse
import os
import shutil
from collections.abc import Sequence

from proxy.commands import options
from proxy.commands.parser import add_command

# What else would decide where Claude Code goes, or with which credential.
_CLASHING = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
)
_WITHOUT_VALUE = ("-h", "--help")
_OURS = ("--url", "--key", *_WITHOUT_VALUE)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "claude",
        "start Claude Code against a running gateway",
        "Starts `claude` with the environment that points it at a gateway. What follows is passed to it.",
        examples=(
            "anyrouter claude --model anthropic/claude-sonnet-4.6",
            "anyrouter claude --url https://llm.example.com/api -p 'say hi'",
        ),
        environment=options.GATEWAY_VARIABLES,
        exit_status={"other": "that of claude"},
    )
    options.add_gateway(parser)
    parser.add_argument("args", nargs=argparse.REMAINDER, help="arguments for claude")
    parser.set_defaults(run=run)


def separated(argv: Sequence[str]) -> list[str]:
    """Put `--` before the first argument that is claude's.

    argparse leaves the rest to a command only from the first argument on that does not begin with a dash.
    """
    if argv[:1] != ["claude"]:
        return list(argv)
    at = 1
    while at < len(argv) and argv[at].partition("=")[0] in _OURS:
        at += 1 if "=" in argv[at] or argv[at] in _WITHOUT_VALUE else 2
    return [*argv[:at], *(["--"] if argv[at:] and argv[at] != "--" else []), *argv[at:]]


def run(args: argparse.Namespace) -> int:
    """Become Claude Code."""
    program = shutil.which("claude")
    if program is None:
        raise RuntimeError(
            "claude is not installed: npm install -g @anthropic-ai/claude-code@latest"
        )
    environment = {name: value for name, value in os.environ.items() if name not in _CLASHING}
    environment["ANTHROPIC_BASE_URL"] = args.url
    environment["ANTHROPIC_AUTH_TOKEN"] = options.given_key(args)
    passed = args.args[1:] if args.args[:1] == ["--"] else args.args
    os.execve(program, [program, *passed], environment)  # noqa: S606 - the user's own claude, no shell
