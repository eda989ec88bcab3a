"""`anyrouter keys new`: make a client's key, or keep one that clients have already."""

import argparse
import contextlib
import getpass
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from proxy.access import keys
from proxy.commands import bounds, managed_keys, options
from proxy.commands.opened_store import HOW_TO_HAVE_ONE
from proxy.commands.parser import add_command
from proxy.commands.standard_files import hand_out, say_on_errors
from proxy.config_file.faults import ConfigError
from proxy.config_file.files import FilesRead
from proxy.config_file.key_entry import key_entry, with_key
from proxy.config_file.load import check_key, check_key_name
from proxy.config_file.tenants import Tenants, read_tenants

_COUNTS = (
    "a running gateway takes it within seconds, or on SIGHUP where `reload.watch` is false; one in an application of "
    "yours, when that calls `gateway.reload`"
)


def add_parser(actions: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    new = add_command(
        actions,
        "new",
        "make a key, and print it this once",
        "The key alone goes to standard output, what to do with it to standard error. With a `store` in the "
        "configuration the key is in there, and counts within seconds; it may have limits, which `none` takes off. "
        "Otherwise, or with --write, its entry is for the configuration, which a running gateway reads again within "
        "seconds (on SIGHUP, where `reload.watch` is false).",
        examples=(
            "anyrouter keys new laptop",
            "anyrouter keys new ci --owner team-a --rpm 60 --month-usd 25 --expires 90d",
            "export ANYROUTER_KEY=$(anyrouter keys new ci --write anyrouter.yaml)",
            "anyrouter keys new old --keep --write anyrouter.yaml < key-of-another-gateway",
        ),
    )
    new.add_argument("name", metavar="NAME", help="who uses it; appears in the log")
    options.add_config(new)
    new.add_argument("--write", metavar="FILE", help="add the entry to this configuration")
    new.add_argument("--json", action="store_true", help="name, key and sha256, as one JSON object")
    new.add_argument(
        "--keep",
        action="store_true",
        help="read the key from standard input, such as one of another gateway that clients have already",
    )
    bounds.add_key_options(new)
    new.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make a key: in the store if there is one, or for the configuration."""
    try:
        check_key_name(args.name)
    except ConfigError as error:
        raise ConfigError(f"NAME: {error}") from None
    patch = bounds.given_key(args)
    if args.write and patch:
        raise ConfigError(
            f"{', '.join(bounds.given_flags(args))}: not with --write, and no key is made: without --write the key "
            f"goes into the `store`, with all of that; or write it into the entry in {args.write} yourself"
        )
    tenants = _tenants(args)
    if tenants is not None and tenants.store is not None:
        key = _read_key() if args.keep else keys.new_key()
        return managed_keys.create(tenants, args, patch, key)
    if patch:
        file = "the configuration" if tenants is None else tenants.file
        raise ConfigError(
            f"{', '.join(bounds.given_flags(args))}: only for keys in a store, and no key is made. There is none in "
            f"{file}: {HOW_TO_HAVE_ONE}; or leave it out, and write it into the key's entry yourself"
        )
    if tenants is not None and args.name in [each.name for each in tenants.keys]:
        raise ConfigError(
            f"NAME: {args.name} is taken, by a key of {tenants.file}, and no key is made: take another name"
        )
    return _for_configuration(args)


def _tenants(args: argparse.Namespace) -> Tenants | None:
    """Read the configuration that may have a store; None: there is none, or the key's entry is to be written."""
    if args.write:
        return None
    if not args.config and not any(map(os.path.exists, options.CONFIG_FILES)):
        return None
    file = options.config_file(args)
    try:
        return read_tenants(file)
    except ConfigError as error:
        if args.config or file == options.CONFIG_FILES[0]:
            raise
        # Many programs call theirs so.
        say_on_errors(
            f"{file} is no configuration of this gateway, and is not looked at: {error.faults[0]}"
        )
        return None


def _for_configuration(args: argparse.Namespace) -> int:
    """Print a key, which is stored nowhere, and its configuration entry."""
    if args.write and not Path(args.write).exists():
        raise options.absent(args.write)
    key = _read_key() if args.keep else keys.new_key()
    sha256 = keys.digest(key)
    path = Path(args.write).resolve() if args.write else None
    new_text = with_key(FilesRead().read_text(path, args.write), args.name, sha256) if path else ""
    if args.json:
        made = {} if args.keep else {"key": key}
        hand_out(json.dumps({"name": args.name, **made, "sha256": sha256}))
    elif not args.keep:
        hand_out(key)
    if path:
        _replace(path, new_text)
    if not args.json:
        shown = "" if args.keep else "The key is shown this once. "
        done = (
            f"{args.write} has its entry: {_COUNTS}."
            if path
            else "Its entry goes below `keys:` of the configuration, as --write FILE puts it there; "
            f"{_COUNTS}:\n  - {key_entry(args.name, sha256)}"
        )
        say_on_errors(shown + done)
    return 0


def _read_key() -> str:
    """Read the key to keep: typed without an echo, or the one line of what is piped in."""
    try:
        key = getpass.getpass("key: ") if sys.stdin.isatty() else sys.stdin.read()
    except (EOFError, UnicodeDecodeError):
        key = ""
    key = key.rstrip("\r\n")
    try:
        check_key(key)
    except ConfigError as error:
        raise ConfigError(f"--keep: the key on standard input {error}") from None
    return key


def _copy_attributes(path: Path, copy: str) -> None:
    """Copy what some systems keep beside a file, access control lists among it; without rights for it, as far as so."""
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(copy, name, os.getxattr(path, name))


def _replace(path: Path, text: str) -> None:
    """Write a file that is there, whole or not at all."""
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(number)
            owner = path.stat()
            try:
                os.chown(name, owner.st_uid, owner.st_gid)
            except PermissionError:
                # Another's file: with its group at least, or whom it was for may not be able to read it.
                os.chown(name, -1, owner.st_gid)
            shutil.copymode(path, name)
            _copy_attributes(path, name)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        raise RuntimeError(
            f"{path} is as it was, and knows nothing of this key: {error.strerror}"
        ) from None
