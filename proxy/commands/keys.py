"""`anyrouter keys`: clients' keys, those of the store above all, which are changed while the gateway runs."""

import argparse

from proxy.commands import amounts, bounds, managed_keys, new_key, options
from proxy.commands.parser import add_command

_PROG = "anyrouter keys"
_DAY_S = 86_400


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command and its actions."""
    parser = add_command(
        subparsers,
        "keys",
        "make keys for clients, list and change them",
        "`anyrouter keys new NAME` makes one. The others are for keys in the `store` of the configuration: they open "
        "it themselves, so that the gateway need not run, and a running one follows within seconds.",
        examples=(
            "anyrouter keys new laptop",
            "anyrouter keys list",
            "anyrouter keys rotate laptop",
        ),
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, prog=_PROG)
    new_key.add_parser(actions)
    _add_list(actions)
    show = _add(actions, "show", "show a key, without its secret", "Shows all there is of a key.")
    show.set_defaults(run=managed_keys.show)
    update = _add(
        actions,
        "update",
        "change a key's limits, owner, models, tags or end",
        "Changes what is given; `none` takes off a limit, a budget, the owner, the end or a tag. A key with limits of "
        "its own has none of those for each key; budgets likewise.",
        "--month-usd 50 --rpm none",
    )
    bounds.add_key_options(update)
    update.set_defaults(run=managed_keys.update)
    rotate = _add(
        actions,
        "rotate",
        "give a key a new secret",
        "Prints the new secret alone on standard output. The one before works until the end of the grace.",
        "--grace 1h",
    )
    rotate.add_argument(
        "--grace",
        type=amounts.span_s,
        default=_DAY_S,
        metavar="TIME",
        help="how long the secret before still works; 0: no more at once; default: 24h",
    )
    rotate.set_defaults(run=managed_keys.rotate)
    off = _add(actions, "disable", "refuse a key until it is enabled", "Refuses a key from now on.")
    off.set_defaults(run=managed_keys.disable)
    on = _add(actions, "enable", "take a key again", "Takes a key that was disabled again.")
    on.set_defaults(run=managed_keys.enable)
    delete = _add(
        actions,
        "delete",
        "end a key for ever",
        "Ends a key at once. Its usage stays under its name, which is not given again.",
    )
    delete.set_defaults(run=managed_keys.delete)


def _add_list(actions: "options.Subparsers[argparse.ArgumentParser]") -> None:
    parser = add_command(
        actions,
        "list",
        "list all keys",
        "Lists the keys of the store and of the configuration, by name.",
        examples=("anyrouter keys list", "anyrouter keys list --owner team-a --json"),
    )
    parser.add_argument("--owner", metavar="NAME", help="only the keys of this owner")
    add_common(parser)
    parser.set_defaults(run=managed_keys.list_all)


def _add(
    actions: "options.Subparsers[argparse.ArgumentParser]",
    name: str,
    does: str,
    about: str,
    flags: str = "",
) -> argparse.ArgumentParser:
    examples = [
        f"anyrouter keys {name} laptop {flags}".rstrip(),
        f"anyrouter keys {name} laptop --config team.yaml --json",
    ]
    parser = add_command(actions, name, does, about, examples=examples)
    parser.add_argument("name", metavar="NAME", help="of the key")
    add_common(parser)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--json`."""
    options.add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
