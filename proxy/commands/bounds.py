"""Options of keys and owners: limits and budgets; what was given is a patch of the admin API. Pure."""

import argparse
from typing import Any

from proxy.commands import amounts
from proxy.config import Budgets, RateLimits

_LIMITS = {
    "rpm": ("requests_per_minute", "requests per minute"),
    "input_tpm": ("input_tokens_per_minute", "input tokens per minute, without cache reads"),
    "output_tpm": ("output_tokens_per_minute", "output tokens per minute"),
    "in_flight": ("max_in_flight", "requests at once"),
}
_BUDGETS = {
    "day_usd": ("day_micros", "dollars a UTC day"),
    "month_usd": ("month_micros", "dollars a UTC month"),
}


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """Add the options of limits and budgets; what is not given is not among the arguments."""
    for name, (_, about) in _LIMITS.items():
        _add(parser, name, amounts.count, "N", about)
    for name, (_, about) in _BUDGETS.items():
        _add(parser, name, amounts.dollars, "USD", about)


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """Add what a managed key has."""
    _add(parser, "owner", str, "NAME", "who answers for it")
    _add(parser, "models", str, "ID,...", "what it may use, such as claude-*; default: all")
    add_bounds(parser)
    _add(parser, "expires", amounts.until, "TIME", "when it ends: 30d, 2027-01-31")
    parser.add_argument(
        "--tag",
        dest="tags",
        action="append",
        type=_tag,
        default=argparse.SUPPRESS,
        metavar="K=V",
        help="a name and a value of yours; any number of them",
    )


def _add(parser: argparse.ArgumentParser, name: str, kind: Any, metavar: str, about: str) -> None:
    flags = [f"--{name.replace('_', '-')}"]
    if name == "in_flight":
        flags.append("--max-in-flight")  # as the configuration calls it
    parser.add_argument(*flags, type=kind, default=argparse.SUPPRESS, metavar=metavar, help=about)


def given_bounds(args: argparse.Namespace) -> dict[str, Any]:
    """Return the limits and budgets that were given; None takes one off."""
    given = vars(args)
    limits = {field: given[name] for name, (field, _) in _LIMITS.items() if name in given}
    budgets = {field: given[name] for name, (field, _) in _BUDGETS.items() if name in given}
    return {name: bounds for name, bounds in (("limits", limits), ("budgets", budgets)) if bounds}


def given_flags(args: argparse.Namespace) -> list[str]:
    """Return the options of a key that were given, as they are typed."""
    names = ("owner", "models", *_LIMITS, *_BUDGETS, "expires", "tags")
    return [
        f"--{'tag' if name == 'tags' else name.replace('_', '-')}"
        for name in names
        if name in vars(args)
    ]


def given_key(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was given for a key."""
    given, patch = vars(args), given_bounds(args)
    if "owner" in given:
        patch["owner"] = _unless_none(given["owner"])
    if "models" in given:
        patch["models"] = [each.strip() for each in given["models"].split(",")]
    if "expires" in given:
        patch["expires_at"] = given["expires"] and given["expires"].isoformat()
    if "tags" in given:
        patch["tags"] = {name: _unless_none(value) for name, value in given["tags"]}
    return patch


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    return name, value


def _unless_none(text: str) -> str | None:
    return None if text == amounts.NONE else text


def shown_limits(limits: RateLimits | None) -> str:
    """Write limits for people."""
    if not limits:
        return ""
    parts = (
        (limits.requests_per_minute, "rpm"),
        (limits.input_tokens_per_minute, "input tpm"),
        (limits.output_tokens_per_minute, "output tpm"),
        (limits.max_in_flight, "in flight"),
    )
    return ", ".join(f"{limit} {unit}" for limit, unit in parts if limit is not None)


def shown_budgets(budgets: Budgets | None) -> str:
    """Write budgets for people."""
    if not budgets:
        return ""
    parts = ((budgets.day_micros, "day"), (budgets.month_micros, "month"))
    return ", ".join(
        f"${amounts.shown_dollars(micros)}/{unit}" for micros, unit in parts if micros is not None
    )
