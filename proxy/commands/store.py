"""`anyrouter store migrate`: bring a store up to date before the gateway does."""

import argparse

from proxy.commands import options
from proxy.commands.opened_store import open_store, tenants_of
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command and its action."""
    examples = ("anyrouter store migrate", "anyrouter store migrate --config team.yaml")
    parser = add_command(
        subparsers,
        "store",
        "bring the store up to date",
        "Looks after the store.",
        examples=examples,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, prog="anyrouter store")
    migrate = add_command(
        actions,
        "migrate",
        "make the store's tables, or bring them up to date",
        "The gateway does so when it starts, and so does each command that opens the store; this is for whoever wants "
        "it to be done before. Nothing is lost, and what fails leaves the store as it was.",
        examples=(*examples, "anyrouter store migrate --new"),
    )
    options.add_config(migrate)
    migrate.add_argument(
        "--new",
        action="store_true",
        help="make an empty one also where one was before that is not there; one that is there stays as it is",
    )
    migrate.add_argument("--json", action="store_true", help="for programs")
    migrate.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Migrate, if there is anything to do."""
    from proxy.store.migrate import HEAD  # noqa: PLC0415 - as in `open_store`

    with open_store(tenants_of(args), is_anew=args.new):
        said = (
            f'{{"version":"{HEAD}"}}'
            if args.json
            else f"the store has version {HEAD}, as it should"
        )
    say(said)
    return 0
