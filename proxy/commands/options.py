"""Arguments that several commands take."""

import argparse
import dataclasses
import os
import sys
from typing import Any, BinaryIO

from proxy.config import Config
from proxy.config_file import ConfigError

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for what it returns


def port(text: str) -> int:
    """Read a TCP port; 0 takes a free one."""
    number = int(text)
    if not 0 <= number <= 65535:  # noqa: PLR2004 - a port's range
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config", default="config.yaml", metavar="FILE", help="default: %(default)s"
    )


def stdout() -> BinaryIO:
    """Open standard output for bytes, buffered even where Python's own is not (`PYTHONUNBUFFERED`)."""
    return open(sys.stdout.fileno(), "wb", closefd=False)


def with_listen(config: Config, **changes: Any) -> Config:
    """Give the configuration with those of `listen`'s fields replaced that are not None."""
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(config, listen=dataclasses.replace(config.listen, **given))


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add `--url` and `--key` of a running gateway."""
    parser.add_argument(
        "--url",
        default=os.environ.get("ANYROUTER_URL", "http://127.0.0.1:8080/api"),
        help="base URL of the gateway; default: $ANYROUTER_URL, or %(default)s",
    )
    parser.add_argument("--key", help="a key of the gateway; default: $ANYROUTER_KEY")


def given_key(args: argparse.Namespace) -> str:
    """Read the key that `--key` or the environment gives.

    Raises:
        ConfigError: neither does.
    """
    key: str | None = args.key or os.environ.get("ANYROUTER_KEY")
    if not key:
        raise ConfigError("--key: give a key of the gateway, or set ANYROUTER_KEY")
    return key
