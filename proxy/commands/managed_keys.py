"""What `anyrouter keys` does with the keys of a store."""

import argparse
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.access import keys as secrets
from proxy.access.records import KeyRecord
from proxy.admin import shapes, shown
from proxy.commands import bounds, key_rows, options
from proxy.commands.opened_store import (
    HOW_TO_HAVE_ONE,
    actor,
    now_ms,
    open_store,
    when_it_counts,
    with_store,
)
from proxy.commands.standard_files import hand_out, say, say_on_errors
from proxy.config_file.faults import ConfigError
from proxy.config_file.tenants import Tenants, read_tenants
from proxy.errors import InvalidRequest

if TYPE_CHECKING:
    import sqlalchemy as sa

    from proxy.store.keys import Keys

_PAGE = 1000
_MS = 1000


def create(tenants: Tenants, args: argparse.Namespace, patch: dict[str, Any], key: str) -> int:
    """Put a new key into the store; print it unless it is kept, which whoever uses it has already."""
    _refuse_configured(tenants, args.name)
    record, sha256 = _apply(KeyRecord(name=args.name), patch), secrets.digest(key)
    with open_store(tenants) as engine:
        made = _keys(tenants, engine).create(record, sha256, now_ms())
    new = {} if args.keep else {"key": key}
    if args.json:
        _hand_out(args.name, _json({**shown.shown_key(made), **new, "sha256": sha256}))
        return 0
    if not args.keep:
        _hand_out(args.name, key)
    once = "" if args.keep else "The key is shown this once. "
    say_on_errors(f"{once}{args.name} is in the store: {when_it_counts(tenants, made)}")
    return 0


def list_all(args: argparse.Namespace) -> int:
    """List the keys of store and configuration."""
    tenants = read_tenants(options.config_file(args))
    entries = [
        shown.shown_static_key(key) for key in tenants.keys if args.owner in (None, key.owner)
    ]
    if tenants.store is not None:
        with open_store(tenants, is_made=False) as engine:
            entries += map(shown.shown_key, _all(_keys(tenants, engine), args.owner))
    entries.sort(key=lambda entry: entry["name"])
    if args.json:
        say(_json({"data": entries}))
        return 0
    from proxy.commands.tables import table  # noqa: PLC0415 - only what draws imports what it takes

    if entries:
        at_ms = now_ms()
        say(table(key_rows.COLUMNS, (key_rows.row(entry, at_ms) for entry in entries)))
    else:
        say_on_errors("there are no such keys; `anyrouter keys new NAME` makes one")
    if tenants.store is None:
        say_on_errors(
            f"{tenants.file} has no store, where keys are that `anyrouter keys` changes and limits: {HOW_TO_HAVE_ONE}"
        )
    return 0


def show(args: argparse.Namespace) -> int:
    """Show one key."""
    tenants = read_tenants(options.config_file(args))
    static = next((key for key in tenants.keys if key.name == args.name), None)
    if static is not None and tenants.store is None:
        _show(args, shown.shown_static_key(static))
        return 0
    with open_store(with_store(tenants), is_made=False) as engine:
        entry = (
            shown.shown_key(_keys(tenants, engine).get(args.name))
            if static is None
            else shown.shown_static_key(static)
        )
        entry["spent"] = _spent(engine, args.name)
    _show(args, entry)
    return 0


def update(args: argparse.Namespace) -> int:
    """Change what was given."""
    patch = bounds.given_key(args)
    if not patch:
        raise ConfigError("nothing to change is given; `anyrouter keys update --help` has examples")
    with _changing(args) as (tenants, engine):
        changed = _keys(tenants, engine).update(args.name, lambda key: _apply(key, patch), now_ms())
    return _tell(args, changed, "changed", when_it_counts(tenants, changed))


def disable(args: argparse.Namespace) -> int:
    """Refuse a key."""
    return _turn(args, disabled=True)


def enable(args: argparse.Namespace) -> int:
    """Take a key again."""
    return _turn(args, disabled=False)


def _turn(args: argparse.Namespace, *, disabled: bool) -> int:
    action = "disable" if disabled else "enable"
    with _changing(args) as (tenants, engine):
        changed = _keys(tenants, engine).update(
            args.name,
            lambda key: msgspec.structs.replace(key, disabled=disabled),
            now_ms(),
            action,
        )
    return _tell(args, changed, f"{action}d", when_it_counts(tenants))


def rotate(args: argparse.Namespace) -> int:
    """Print a key's new secret."""
    key = secrets.new_key()
    with _changing(args) as (tenants, engine):
        changed = _keys(tenants, engine).rotate(
            args.name, secrets.digest(key), args.grace * _MS, now_ms()
        )
    entry = shown.shown_key(changed)
    if args.json:
        _hand_out(args.name, _json({**entry, "key": key, "sha256": secrets.digest(key)}))
        return 0
    _hand_out(args.name, key)
    until = entry["previous_valid_until"] if args.grace else None
    before = f"works until {until}" if until else "works no more"
    say_on_errors(f"The key is shown this once; the one before {before}: {when_it_counts(tenants)}")
    return 0


def delete(args: argparse.Namespace) -> int:
    """End a key."""
    with _changing(args) as (tenants, engine):
        _keys(tenants, engine).delete(args.name, now_ms())
    if args.json:
        say(_json({"type": "key_deleted", "name": args.name}))
    else:
        say_on_errors(f"{args.name} is deleted: {when_it_counts(tenants)}")
    return 0


@contextlib.contextmanager
def _changing(args: argparse.Namespace) -> Iterator[tuple[Tenants, "sa.Engine"]]:
    tenants = read_tenants(options.config_file(args))
    _refuse_configured(tenants, args.name)
    with open_store(with_store(tenants), is_made=False) as engine:
        yield tenants, engine


def _keys(tenants: Tenants, engine: "sa.Engine") -> "Keys":
    from proxy.store.keys import Keys  # noqa: PLC0415 - as in `open_store`

    return Keys(engine, actor(), frozenset(owner.name for owner in tenants.owners))


def _spent(engine: "sa.Engine", name: str) -> dict[str, int]:
    """Return what a key has spent of the day and the month, as the ledger knows it."""
    from proxy.store.spent import spent  # noqa: PLC0415 - as in `open_store`

    known = spent(engine, now_ms())
    return {
        f"{period}_micros": sum(micros for (key, _), micros in sums.items() if key == name)
        for period, sums in (("day", known.of_day), ("month", known.of_month))
    }


def _all(keys: "Keys", owner: str | None) -> Iterator[KeyRecord]:
    after: str | None = ""
    while after is not None:
        page = keys.page(_PAGE, after, owner)
        yield from page
        after = page[-1].name if len(page) == _PAGE else None


def _apply(record: KeyRecord, patch: Mapping[str, Any]) -> KeyRecord:
    try:
        return shapes.apply_patch(record, json.dumps(patch).encode())
    except InvalidRequest as error:
        raise ConfigError(error.message) from None


def _refuse_configured(tenants: Tenants, name: str) -> None:
    if any(key.name == name for key in tenants.keys):
        raise ConfigError(f"NAME: {name} is a key of {tenants.file}, and is changed there")


def _hand_out(name: str, text: str) -> None:
    try:
        hand_out(text)
    except RuntimeError as error:
        raise RuntimeError(
            f"{error}, but is in the store: `anyrouter keys rotate {name} --grace 0` makes another"
        ) from None


def _tell(args: argparse.Namespace, record: KeyRecord, done: str, when: str) -> int:
    if args.json:
        say(_json(shown.shown_key(record)))
    else:
        say_on_errors(f"{args.name} is {done}: {when}")
    return 0


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _show(args: argparse.Namespace, entry: Mapping[str, Any]) -> None:
    if args.json:
        say(_json(entry))
        return
    from proxy.commands.tables import pairs  # noqa: PLC0415 - as in `list_all`

    say(pairs(key_rows.details(entry)))
