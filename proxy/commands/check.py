"""`anyrouter check`: validate a configuration."""

import argparse

from proxy.commands import options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say
from proxy.config_file.load import load_config


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "check",
        "say what is wrong with a configuration, or what it holds",
        "Reads a configuration as `serve` does. Everything that is wrong is told at once, a line each, with file and "
        "line; what is good is shown as a table. Nothing is started, and no upstream is asked.",
        examples=("anyrouter check", "anyrouter check --config deploy/anthropic.yaml"),
        environment={options.ANY_VARIABLE: "the ${...} that the configuration names"},
    )
    options.add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the configuration; a `ConfigError` says what is wrong with it."""
    config = load_config(options.config_file(args))
    say(
        f"{args.config}: good: {len(config.upstreams)} upstreams, {len(config.models)} models, "
        f"{len(config.keys)} keys"
    )
    return 0
