"""`anyrouter keys new`: make a client's key."""

import argparse
import json

from proxy.access import keys
from proxy.commands import options
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import check_key_name


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser("keys", help="make keys for clients")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="print a new key once, and the entry to store")
    new.add_argument("name", metavar="NAME", help="who uses it; appears in the log")
    new.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a key, which is stored nowhere, and its configuration entry."""
    try:
        check_key_name(args.name)
    except ConfigError as error:
        raise ConfigError(f"NAME: {error}") from None
    key = keys.new_key()
    entry = json.dumps({"name": args.name, "sha256": keys.digest(key)})
    try:
        print(
            f"{key}\n\nThe key is shown this once. In the configuration goes, in place of `keys: []`:\n"
            f"keys:\n  - {entry}",
            flush=True,
        )
    except OSError as error:
        # The key is known to nobody: that is no success.
        raise RuntimeError(f"the key could not be printed: {error.strerror}") from None
    return 0
