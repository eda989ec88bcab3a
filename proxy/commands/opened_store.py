"""The store of a configuration, opened by a command: the gateway need not run."""

import argparse
import contextlib
import getpass
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.commands import options
from proxy.commands.standard_files import say_on_errors
from proxy.config import Store
from proxy.config_file.faults import ConfigError
from proxy.config_file.tenants import Tenants, read_tenants
from proxy.ledger.first_file import told_away, was_there
from proxy.ledger.recovery import living
from proxy.ledger.spool import spools

if TYPE_CHECKING:
    import sqlalchemy as sa

    from proxy.access.records import KeyRecord, OwnerRecord


# README and config.yaml have the same.
HOW_TO_HAVE_ONE = (
    'put `store: {url: "sqlite:///var/anyrouter.db"}` there, in place of `store: null` if it has that line, and start '
    "the gateway again"
)


def tenants_of(args: argparse.Namespace) -> Tenants:
    """Read what `--config` says of a store; that there is none is a `ConfigError` that says how to have one."""
    return with_store(read_tenants(options.config_file(args)))


def with_store(tenants: Tenants) -> Tenants:
    """Return a configuration that has a store; as `tenants_of`."""
    if tenants.store is None:
        raise ConfigError(f"{tenants.file}: there is no store, which this needs: {HOW_TO_HAVE_ONE}")
    return tenants


_SOON = "a running gateway follows within seconds"
_NOT_OPEN = (
    "by the files in {}, no gateway runs here with this configuration's store, so it counts when one does: start it, "
    "or start it again if `store` was written since; one elsewhere that has this store follows within seconds"
)


@contextlib.contextmanager
def open_store(
    tenants: Tenants, *, is_made: bool = True, is_anew: bool = False
) -> Iterator["sa.Engine"]:
    """Open the store, its tables brought up to date.

    Args:
        tenants: with a store.
        is_made: whether a store that is not there yet is made; what reads or changes would find nothing in it.
        is_anew: whether that holds also where one was before.

    Raises:
        ConfigError: its URL cannot be used, or a name is not known or is taken, or an owner has keys.
        RuntimeError: it does not answer, or is not there and not to be made.
    """
    # Only here: `--help` and what serves without a store need none of it.
    import sqlalchemy as sa  # noqa: PLC0415 - imported by who needs it alone

    from proxy.store.engine import shown, sqlite_file  # noqa: PLC0415 - imported by who needs it alone
    from proxy.store.keys import (  # noqa: PLC0415 - imported by who needs it alone
        NameTakenError,
        UnknownNameError,
        UnknownOwnerError,
    )
    from proxy.store.migrate import MigrationFailed, ensure_current  # noqa: PLC0415 - imported by who needs it alone
    from proxy.store.owners import OwnerInUseError  # noqa: PLC0415 - imported by who needs it alone

    if tenants.store is None:
        raise ConfigError(f"{tenants.file}: there is no store")
    engine = _engine(tenants.file, tenants.store)
    if not is_anew:
        _refuse_absent(tenants, tenants.store, sqlite_file(engine), is_made=is_made)
    try:
        if ensure_current(engine, is_made=is_made):
            say_on_errors(f"there was no store, and an empty one is made: {shown(engine)}")
        yield engine
    except MigrationFailed as error:
        raise RuntimeError(
            f"{error}; it is where `store.url` of {tenants.file} says, and as it was before"
        ) from None
    except NameTakenError as error:
        raise ConfigError(f"NAME: {error} is taken, or was: a name is given once") from None
    except UnknownNameError as error:
        raise ConfigError(f"NAME: {error} is not in the store") from None
    except UnknownOwnerError as error:
        raise ConfigError(
            f"--owner: there is no owner {error}: `anyrouter owners set {error}` makes one"
        ) from None
    except OwnerInUseError as error:
        raise ConfigError(
            f"{error.told()}; first give each another with `anyrouter keys update NAME --owner OTHER`, or none with "
            "`--owner none`, or end it with `anyrouter keys delete NAME`"
        ) from None
    except (sa.exc.SQLAlchemyError, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RuntimeError(
            f"the store does not answer, and nothing is changed: {first_line}; "
            f"it is where `store.url` of {tenants.file} says: is it up, and may {_user()} use it?"
        ) from None
    finally:
        engine.dispose()


def _engine(config_file: str, store: Store) -> "sa.Engine":
    from proxy.store.engine import open_engine  # noqa: PLC0415 - imported by who needs it alone

    try:
        return open_engine(store.url)
    except ModuleNotFoundError:
        raise ConfigError(
            "store.url: PostgreSQL's driver is missing: `make install` brings it, or `pip install '.[postgres]'` in a "
            "checkout"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{config_file}: {error}") from None


def _refuse_absent(tenants: Tenants, store: Store, file: Path | None, *, is_made: bool) -> None:
    if file is None or file.exists():
        return
    if was_there(store, file):
        command = f"anyrouter store migrate --new --config {shlex.quote(tenants.file)}"
        raise RuntimeError(told_away(file, command))
    if not is_made:
        raise RuntimeError(
            f"the store is not there: {file.absolute()}, as `store.url` of {tenants.file} says: the gateway makes it"
            " when it first starts; if it has run, was it moved, or is this another machine?"
        )


def when_it_counts(tenants: Tenants, record: "KeyRecord | OwnerRecord | None" = None) -> str:
    """Return when a change of the store counts, and whether limits hold over all workers: the end of a sentence.

    Args:
        tenants: with a store.
        record: of whom was changed, if that has limits now.
    """
    folder = spools(tenants.store) if tenants.store is not None else None
    running = 0 if folder is None else living(folder)
    told = _SOON if running else _NOT_OPEN.format(folder)
    is_apart = tenants.counts_apart and (running or tenants.workers) > 1
    if record is None or not (is_apart and (record.limits or record.budgets)):
        return f"{told}."
    return (
        f"{told}. Each worker counts its limits and budgets for itself, so that together they let through as many times"
        " as much: give `redis`, or one worker."
    )


def actor() -> str:
    """Return whose changes the audit says these are."""
    return f"cli:{_user()}"


def _user() -> str:
    """Return who runs this; a container's user often has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def now_ms() -> int:
    """Return the time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
