"""`anyrouter limits show`: what limits and budgets have left, asked of a running gateway, which counts them."""

import argparse
import asyncio
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from proxy.commands import amounts, diagnosis, options
from proxy.commands.greeting import client
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors
from proxy.config_file.faults import ConfigError
from proxy.config_file.listens import has_no_admin

_TIMEOUT_S = 15.0
_PAGE = 200
_OK, _UNAUTHENTICATED, _NOT_FOUND = 200, 401, 404
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
    variables = {
        "ANYROUTER_ADMIN_URL": "where the admin API listens",
        "ANYROUTER_ADMIN_KEY": "one of admin.keys",
    }
    parser = add_command(
        subparsers,
        "limits",
        "show what limits have left",
        "Asks a running gateway, by its admin API, what its limits and budgets have left.",
        examples=examples,
        environment=variables,
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
        environment=variables,
    )
    show.add_argument("kind", nargs="?", choices=("key", "owner", "global"), help="default: all")
    show.add_argument("name", nargs="?", metavar="NAME", help="of the key or owner")
    show.add_argument(
        "--url",
        default=os.environ.get("ANYROUTER_ADMIN_URL"),
        help="of the admin API; default: $ANYROUTER_ADMIN_URL, or that of the configuration here, or "
        "http://127.0.0.1:8081",
    )
    show.add_argument("--key", help="one of admin.keys; default: $ANYROUTER_ADMIN_KEY")
    show.add_argument("--ca", metavar="FILE", help="certificate of an authority to trust")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is left."""
    if (args.kind in ("key", "owner")) != (args.name is not None):
        raise ConfigError("limits show: key NAME, owner NAME, global, or nothing for all")
    found = asyncio.run(_found(args))
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


async def _found(args: argparse.Namespace) -> list[dict[str, Any]]:
    async with client(_TIMEOUT_S, args.ca) as session:
        session.headers["x-api-key"] = _given_key(args)
        if args.kind is not None:
            name = "" if args.name is None else f"/{urllib.parse.quote(args.name, safe='')}"
            return [await _asked(session, args, f"limits/{args.kind}{name}")]
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            query = urllib.parse.urlencode({"limit": _PAGE, "after": after})
            page = await _asked(session, args, f"limits?{query}")
            found += page["data"]
            after = page["next"]
        return found


async def _asked(
    session: aiohttp.ClientSession, args: argparse.Namespace, path: str
) -> dict[str, Any]:
    """Ask the admin API.

    Raises:
        ConfigError: the URL, the key or the name is wrong.
        RuntimeError: nothing answers, or nothing good.
    """
    url = options.given_admin_url(args)
    if (wrong := diagnosis.wrong_url(url)) is not None:
        raise ConfigError(f"--url: {wrong}")
    place = URL(f"{url.rstrip('/')}/admin/v1/{path}", encoded=True)
    try:
        async with session.get(place, allow_redirects=False) as response:
            status, headers, body = response.status, response.headers, await response.read()
    except (aiohttp.ClientError, OSError) as error:
        here = None if args.url else next(filter(has_no_admin, options.CONFIG_FILES), None)
        if here is not None:
            raise ConfigError(
                f"{here}: `admin` is not configured, and limits are asked of the admin API: give it `admin`, and start "
                "the gateway again; or --url, for one that is elsewhere"
            ) from None
        raise RuntimeError(
            f"{diagnosis.unreached(error, place)}; the admin API is where `admin` of its configuration says"
        ) from None
    if status == _UNAUTHENTICATED:
        raise ConfigError(
            "--key: the admin API does not know it: `admin.keys` of the gateway has it"
        )
    told = diagnosis.told(status, headers, body)
    if status == _NOT_FOUND:
        raise ConfigError(f"{told}; is --url that of the admin API, and the name right?")
    if status != _OK:
        raise RuntimeError(told)
    try:
        answer: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise RuntimeError(f"what answers at {place.origin()} is not the admin API") from None
    return answer


def _given_key(args: argparse.Namespace) -> str:
    key: str | None = args.key or os.environ.get("ANYROUTER_ADMIN_KEY")
    if not key:
        raise ConfigError(
            "--key: one of `admin.keys` is needed: `export ANYROUTER_ADMIN_KEY=ara-...`; a client's key is none"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("--key: must be printable ASCII")
    return key


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
