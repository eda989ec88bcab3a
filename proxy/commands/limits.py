"""`anyrouter limits show`: what limits and budgets have left, asked of a running gateway, which counts them."""

import argparse
import asyncio
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from proxy.commands import admin_api, amounts, options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors
from proxy.config_file.faults import ConfigError

_PAGE = 200
_COLUMNS = ("of", "what", "until", "", "used", "held", "limit")
_NUMBERS = 3
_RATES = {
    "requests_per_minute": "requests per minute",
    "input_tokens_per_minute": "input tokens per minute",
    "output_tokens_per_minute": "output tokens per minute",
}
_BUDGETS = {"day": "dollars per day", "month": "dollars per month"}


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command and its action."""
    examples = ("anyrouter limits show", "anyrouter limits show key laptop --json")
    parser = add_command(
        subparsers,
        "limits",
        "show what limits have left",
        "Asks a running gateway, by its admin API, what its limits and budgets have left.",
        examples=examples,
        environment=admin_api.VARIABLES,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, prog="anyrouter limits")
    show = add_command(
        actions,
        "show",
        "show what is used, held and left",
        "Shows of each key, each owner and all together what is used of its limits and budgets, what requests in "
        "flight hold, and until when: a rate is full again then, a budget begins anew. Without redis that is what one "
        "process counts.",
        examples=examples,
        environment=admin_api.VARIABLES,
    )
    show.add_argument("kind", nargs="?", choices=("key", "owner", "global"), help="default: all")
    show.add_argument("name", nargs="?", metavar="NAME", help="of the key or owner")
    admin_api.add_arguments(show)
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is left."""
    if (args.kind in ("key", "owner")) != (args.name is not None):
        raise ConfigError("limits show: key NAME, owner NAME, global, or nothing for all")
    found = asyncio.run(_find(args))
    if args.json:
        say(msgspec.json.encode({"data": found}).decode())
        return 0
    rows = [row for each in found for row in _rows(each)]
    if not rows:
        say_on_errors("there is no limit and no budget")
        return 0
    from proxy.commands.tables import table  # noqa: PLC0415 - only what draws imports what it takes

    say(table(_COLUMNS, rows, right=_NUMBERS))
    if any(each["state"] == "local_in_outage" for each in found):
        say_on_errors("redis does not answer: this is what one process counts meanwhile")
    return 0


async def _find(args: argparse.Namespace) -> list[dict[str, Any]]:
    async with admin_api.asking(args) as ask:
        if args.kind is not None:
            name = "" if args.name is None else f"/{urllib.parse.quote(args.name, safe='')}"
            return [await ask(f"limits/{args.kind}{name}")]
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            query = urllib.parse.urlencode({"limit": _PAGE, "after": after})
            page = await ask(f"limits?{query}")
            found += page["data"]
            after = page["next"]
        return found


def _rows(left: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each limit and budget of one of them."""
    of, limits = left["subject"], left["limits"]
    for name, what in _RATES.items():
        if (rate := limits.get(name)) is not None:
            used, limit = rate["limit"] - rate["remaining"], rate["limit"]
            yield of, what, rate["reset"], _note(rate), str(used), "", str(limit)
    if (slots := limits.get("max_in_flight")) is not None:
        used, limit = slots["in_flight"], slots["limit"]
        yield of, "requests in flight", "", _note(slots), str(used), "", str(limit)
    for name, what in _BUDGETS.items():
        if (budget := left["budgets"].get(name)) is not None:
            money = (budget[f"{each}_micros"] for each in ("spent", "held", "limit"))
            yield of, what, budget["resets_at"], _note(budget), *map(amounts.exact_dollars, money)


def _note(entry: Mapping[str, Any]) -> str:
    return "only watched" if entry["shadow"] else ""
