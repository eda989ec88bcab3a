"""`anyrouter owners`: teams and people whose keys have limits and budgets together."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.access.records import OwnerRecord
from proxy.admin import shapes, shown
from proxy.commands import bounds, options
from proxy.commands.opened_store import actor, now_ms, open_store, tenants_of, when_it_counts
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors
from proxy.config_file.faults import ConfigError
from proxy.config_file.tenants import Tenants
from proxy.errors import InvalidRequest

if TYPE_CHECKING:
    import sqlalchemy as sa

    from proxy.store.owners import Owners


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command and its actions."""
    parser = add_command(
        subparsers,
        "owners",
        "limit keys together",
        "An owner is a team or a person; the limits and budgets of an owner are those of all its keys together.",
        examples=("anyrouter owners set team-a --month-usd 100", "anyrouter owners list"),
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, prog="anyrouter owners")
    new = add_command(
        actions,
        "set",
        "make an owner, or change its limits",
        "Makes an owner, or changes what is given of one; `none` takes a limit or a budget off.",
        examples=(
            "anyrouter owners set team-a --month-usd 100 --in-flight 20",
            "anyrouter owners set team-a --in-flight none",
        ),
    )
    new.add_argument("name", metavar="NAME", help="of the owner")
    bounds.add_bounds(new)
    listing = add_command(
        actions,
        "list",
        "list all owners",
        "Lists the owners of the store and of the configuration.",
        examples=("anyrouter owners list", "anyrouter owners list --json"),
    )
    gone = add_command(
        actions,
        "delete",
        "forget an owner",
        "Only while no key belongs to it: each would lose the limits and budgets of its owner.",
        examples=("anyrouter owners delete team-a", "anyrouter owners delete team-a --json"),
    )
    gone.add_argument("name", metavar="NAME", help="of the owner")
    for each, run in ((new, set_one), (listing, list_all), (gone, delete)):
        options.add_config(each)
        each.add_argument("--json", action="store_true", help="for programs")
        each.set_defaults(run=run)


def set_one(args: argparse.Namespace) -> int:
    """Make an owner, or change it."""
    tenants = tenants_of(args)
    _refuse_configured(tenants, args.name)
    given = bounds.given_bounds(args)
    _change(OwnerRecord(name=args.name), given)
    with open_store(tenants) as engine:
        owners = _owners(engine)
        before = next((each for each in owners.all() if each.name == args.name), None)
        record = owners.put(_change(before or OwnerRecord(name=args.name), given), now_ms())
    if args.json:
        _say_json(shown.shown_owner(record))
    else:
        say_on_errors(
            f"{args.name} is {'changed' if before else 'made'}: {when_it_counts(tenants, record)}"
        )
    return 0


def list_all(args: argparse.Namespace) -> int:
    """List the owners of store and configuration."""
    tenants = tenants_of(args)
    entries = list(map(shown.shown_static_owner, tenants.owners))
    with open_store(tenants, is_made=False) as engine:
        entries += map(shown.shown_owner, _owners(engine).all())
    entries.sort(key=lambda entry: entry["name"])
    if args.json:
        _say_json({"data": entries})
        return 0
    from proxy.commands.tables import table  # noqa: PLC0415 - only what draws imports what it takes

    say(table(("owner", "limits", "budgets", "kept in"), map(_row, entries)))
    return 0


def delete(args: argparse.Namespace) -> int:
    """Forget an owner."""
    tenants = tenants_of(args)
    _refuse_configured(tenants, args.name)
    with open_store(tenants, is_made=False) as engine:
        _owners(engine).delete(args.name, now_ms())
    if args.json:
        _say_json({"type": "owner_deleted", "name": args.name})
    else:
        say_on_errors(f"{args.name} is deleted: {when_it_counts(tenants)}")
    return 0


def _owners(engine: "sa.Engine") -> "Owners":
    from proxy.store.owners import Owners  # noqa: PLC0415 - as in `open_store`

    return Owners(engine, actor())


def _change(before: OwnerRecord, given: Mapping[str, Mapping[str, Any]]) -> OwnerRecord:
    """Return an owner with what was given in place of what it had."""
    body = {
        "limits": {**msgspec.to_builtins(before.limits), **given.get("limits", {})},
        "budgets": {**msgspec.to_builtins(before.budgets), **given.get("budgets", {})},
    }
    try:
        return shapes.parse_owner(before.name, msgspec.json.encode(body))
    except InvalidRequest as error:
        raise ConfigError(error.message) from None


def _refuse_configured(tenants: Tenants, name: str) -> None:
    if any(owner.name == name for owner in tenants.owners):
        raise ConfigError(f"NAME: {name} is an owner of {tenants.file}, and is changed there")


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    limits, budgets = bounds.shown_limits(entry["limits"]), bounds.shown_budgets(entry["budgets"])
    return entry["name"], limits, budgets, entry["source"]


def _say_json(value: Any) -> None:
    say(msgspec.json.encode(value).decode())
