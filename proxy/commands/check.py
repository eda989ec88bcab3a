"""`anyrouter check`: validate a configuration."""

import argparse

from proxy.commands import options
from proxy.commands.standard_files import say
from proxy.config_file.load import load_config


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser("check", help="validate the configuration")
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
