"""Arguments that several commands take."""

import argparse
import os

from proxy.config_file.faults import ConfigError

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for what it returns


def port(text: str) -> int:
    """Read a TCP port; 0 takes a free one."""
    number = int(text)
    if not 0 <= number <= 65535:  # noqa: PLR2004 - a port's range
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


def workers(text: str) -> int:
    """Read a number of processes."""
    number = int(text)
    if not 1 <= number <= 256:  # noqa: PLR2004 - the schema's range
        raise argparse.ArgumentTypeError("must be from 1 to 256")
    return number


def host(text: str) -> str:
    """Read a host: an address, or a name that could be looked up."""
    try:
        text.encode("idna")
    except UnicodeError:
        raise argparse.ArgumentTypeError("not an address, nor a host's name") from None
    return text


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config", default="config.yaml", metavar="FILE", help="default: %(default)s"
    )


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
        ConfigError: neither does, or a header cannot hold it.
    """
    key: str | None = args.key or os.environ.get("ANYROUTER_KEY")
    if not key:
        raise ConfigError("--key: give a key of the gateway, or set ANYROUTER_KEY")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("--key: must be printable ASCII")
    return key
