"""Arguments that several commands take."""

import argparse
import os

from proxy.config_file.faults import ELLIPSES, ConfigError

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for what it returns

# The first that is there is read.
CONFIG_FILES = ("anyrouter.yaml", "config.yaml")
# Of the help's section on variables.
ANY_VARIABLE = "VARIABLE"
GATEWAY_VARIABLES = {
    "ANYROUTER_URL": "base URL of the gateway",
    "ANYROUTER_KEY": "a key of the gateway",
}


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
    """Add `--config`; read it with `config_file`."""
    parser.add_argument(
        "--config", metavar="FILE", help=f"default: {', or else '.join(CONFIG_FILES)}"
    )


def config_file(args: argparse.Namespace) -> str:
    """Return the configuration file that `--config` names, or that is here.

    Raises:
        ConfigError: there is none.
    """
    given: str | None = args.config
    found = next(filter(os.path.exists, [given] if given else CONFIG_FILES), None)
    if found is not None:
        return found
    if given:
        raise absent(given)
    raise ConfigError(
        f"no configuration: neither {' nor '.join(CONFIG_FILES)} is here; `anyrouter init` writes one, "
        "`--config FILE` names another"
    )


def absent(file: str) -> ConfigError:
    """Make the error of a configuration file that is named and not there."""
    return ConfigError(f"{file}: no such file; `anyrouter init --config {file}` writes one")


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add `--url` and `--key` of a running gateway."""
    parser.add_argument(
        "--url",
        default=os.environ.get("ANYROUTER_URL"),
        help="base URL of the gateway; default: $ANYROUTER_URL, or that of the configuration here, or "
        "http://127.0.0.1:8080/api",
    )
    parser.add_argument("--key", help="a key of the gateway; default: $ANYROUTER_KEY")
    parser.add_argument(
        "--ca", metavar="FILE", help="certificate of an authority to trust, beside the system's"
    )


def given_url(args: argparse.Namespace) -> str:
    """Return the base URL that `--url`, the environment or the configuration that is here gives."""
    from proxy.config_file.listens import base_url_of  # noqa: PLC0415 - reading YAML is not for who needs no file

    given: str | None = args.url
    return given or next(filter(None, map(base_url_of, CONFIG_FILES)), "http://127.0.0.1:8080/api")


def given_admin_url(args: argparse.Namespace) -> str:
    """Return the URL of the admin API; as `given_url`."""
    from proxy.config_file.listens import admin_url_of  # noqa: PLC0415 - as in `given_url`

    given: str | None = args.url
    return given or next(filter(None, map(admin_url_of, CONFIG_FILES)), "http://127.0.0.1:8081")


def given_key(args: argparse.Namespace) -> str:
    """Read the key that `--key` or the environment gives.

    Raises:
        ConfigError: neither does, or a header cannot hold it.
    """
    key: str | None = args.key or os.environ.get("ANYROUTER_KEY")
    if not key:
        raise ConfigError(
            "--key: a key of the gateway is needed: `export ANYROUTER_KEY=ar-...`; `anyrouter init` has printed one, "
            "and `anyrouter keys new NAME` prints another"
        )
    if key.endswith(ELLIPSES):
        raise ConfigError(
            "--key: this is a placeholder, and not a key: `anyrouter keys new NAME` prints one"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("--key: must be printable ASCII")
    return key
