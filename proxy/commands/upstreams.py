"""`anyrouter upstreams`: how the upstreams are, asked of a running gateway, which learns it from their answers."""

import argparse
import asyncio
import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.commands import admin_api, options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors

_COLUMNS = ("upstream", "state", "left", "why", "last error", "homes", "cached", "in flight")
_NUMBERS = 3


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "upstreams",
        "show how the upstreams are",
        "Asks a running gateway, by its admin API, how its upstreams are: which of them cool or fail, for how long and "
        "why, what failed last, whose conversations they have, how much of the prompts came from their caches, and how "
        "many requests they are at. Counts are since the workers began.",
        examples=("anyrouter upstreams", "anyrouter upstreams --json"),
        environment=admin_api.VARIABLES,
    )
    admin_api.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    told = asyncio.run(_ask(args))
    if args.json:
        say(msgspec.json.encode(told).decode())
        return 0
    from proxy.commands.tables import table  # noqa: PLC0415 - only what draws imports what it takes

    now = datetime.datetime.now(datetime.UTC)
    say(table(_COLUMNS, [_row(each, now) for each in told["data"]], right=_NUMBERS))
    if silent := told["workers_silent"]:
        say_on_errors(f"{silent} of {told['workers']} workers did not answer: this is the others'")
    return 0


async def _ask(args: argparse.Namespace) -> dict[str, Any]:
    async with admin_api.asking(args) as ask:
        return await ask("upstreams")


def _row(upstream: Mapping[str, Any], now: datetime.datetime) -> tuple[str, ...]:
    cooling, error = upstream["cooling"], upstream["last_error"]
    hit_share = upstream["cache"]["hit_share"]
    return (
        upstream["upstream"],
        _state(upstream),
        f"{upstream['cooling_s']:.0f} s" if cooling else "",
        "; ".join(map(_why, cooling)) or upstream["reason"] or "",
        f"{error['reason']}, {_ago(error['at'], now)}" if error is not None else "",
        _homes(upstream["pools"]),
        "" if hit_share is None else f"{hit_share:.1%}",
        str(upstream["in_flight"]),
    )


def _state(upstream: Mapping[str, Any]) -> str:
    """Return the state, and how many of the workers have found it so, when not all have."""
    state: str = upstream["state"]
    workers = upstream["workers"]
    found = sum(each["state"] == state for each in workers)
    return state if found == len(workers) else f"{state} ({found} of {len(workers)} workers)"


def _why(cooling: Mapping[str, Any]) -> str:
    model = cooling["model"]
    return cooling["reason"] if model is None else f"{cooling['reason']} for {model}"


def _homes(pools: list[Mapping[str, Any]]) -> str:
    """Return which share of each pool's requests belongs to it; of the only pool without its name."""
    shares = [
        (each["pool"], f"{each['homes_share']:.0%}")
        for each in pools
        if each["homes_share"] is not None
    ]
    return shares[0][1] if len(shares) == 1 else ", ".join(map(" ".join, shares))


def _ago(at: str, now: datetime.datetime) -> str:
    seconds = (now - datetime.datetime.fromisoformat(at)).total_seconds()
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
