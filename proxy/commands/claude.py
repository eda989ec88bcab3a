"""`anyrouter claude`: start Claude Code against a running gateway."""

import argparse
import os
import shutil

from proxy.commands import options

# What else would decide where Claude Code goes, or with which credential.
_CLASHING = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "claude",
        help="start Claude Code against a running gateway",
        description="Starts `claude` with the environment that points it at a gateway. "
        "What follows is passed to it.",
    )
    options.add_gateway(parser)
    parser.add_argument("args", nargs=argparse.REMAINDER, help="arguments for claude")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Become Claude Code."""
    program = shutil.which("claude")
    if program is None:
        raise RuntimeError("claude is not installed: npm install -g @anthropic-ai/claude-code")
    environment = {name: value for name, value in os.environ.items() if name not in _CLASHING}
    environment["ANTHROPIC_BASE_URL"] = args.url
    environment["ANTHROPIC_AUTH_TOKEN"] = options.given_key(args)
    passed = args.args[1:] if args.args[:1] == ["--"] else args.args
    os.execve(program, [program, *passed], environment)  # noqa: S606 - the user's own claude, no shell
