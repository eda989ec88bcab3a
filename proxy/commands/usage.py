"""`anyrouter usage`: who spent what, from the store of a configuration."""

import argparse
import csv
import datetime
import io
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.admin.page.tables import cell
from proxy.admin.shown import shown_group
from proxy.commands import amounts, options
from proxy.commands.opened_store import open_store, tenants_of
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors
from proxy.config_file.tenants import Tenants
from proxy.ledger.recovery import waiting_rows
from proxy.ledger.spool import spools

if TYPE_CHECKING:
    import sqlalchemy as sa

    from proxy.store.scope import Scope
    from proxy.store.usage import Group

_DIMENSIONS = (
    *("key", "owner", "model", "upstream", "day"),
    *("session", "agent", "cause", "hour"),
    *("tag", "request_class", "agent_type", "client"),
)
_TIMES = ("day", "hour")
_SUMS = (
    *("requests", "refused", "failed", "estimated"),
    *("input_tokens", "output_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
    *("web_searches", "cost_micros"),
)
_COLUMNS = ("requests", "input", "cached", "output", "dollars")
# Where there is room: which share of the input was cached, and what cache breaks cost, which is known by these only.
_MORE = ("hit", "breaks")
_OF_BREAKS = ("day", "key", "model")
_WIDE = 100
_PAGE = 1000
# Nobody but who has asked waits for it.
_PATIENT_S = 600.0


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "usage",
        "show who spent what",
        "Sums requests, tokens and dollars of what the `store` has; the gateway need not run. Input is without what "
        "was read from a cache, which is `cached`. Days are whole days of UTC, kept for ever; session, agent, cause "
        "and hour are known as long as single requests are (store.retention_days).",
        examples=(
            "anyrouter usage --since 7d",
            "anyrouter usage --by owner,model --since 2026-11-01",
            "anyrouter usage --by day --key laptop --csv",
        ),
    )
    parser.add_argument(
        "--by",
        type=_dimensions,
        default=["key"],
        metavar="WHAT,...",
        help=f"one or more of {', '.join(_DIMENSIONS)}; default: key",
    )
    # By the second name, too, which the admin API had first.
    since, until = ("--since", "--from"), ("--until", "--to")
    parser.add_argument(*since, type=amounts.since, metavar="TIME", help="7d, or 2026-11-01")
    parser.add_argument(*until, type=amounts.since, metavar="TIME", help="before then")
    for name in ("key", "owner", "model"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"of this {name} only")
    options.add_config(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all sums, as one JSON object")
    form.add_argument("--csv", action="store_true", help="all sums, as a table for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the sums."""
    tenants = tenants_of(args)
    with open_store(tenants, is_made=False) as engine:
        groups = list(_groups(engine, args.by, _scope(args)))
        breaks = _breaks(engine, args)
    if not any(name in _TIMES for name in args.by):
        groups.sort(key=lambda group: -group.cost_micros)
    data = [shown_group(args.by, group) for group in groups]
    total = {name: sum(getattr(group, name) for group in groups) for name in _SUMS}
    if args.json:
        say(msgspec.json.encode({"data": data, "total": total}).decode())
    elif args.csv:
        say(_csv(args.by, data))
    elif data:
        say(_table(args.by, data, total, breaks))
    else:
        say_on_errors(f"there is no usage in the store of that kind and time{_waiting(tenants)}")
    return 0


def _waiting(tenants: Tenants) -> str:
    """Return what is not in the store yet, of whatever kind: the end of a sentence."""
    if tenants.store is None:
        return ""
    folder = spools(tenants.store)
    waiting = waiting_rows(folder)
    return f"; rows that wait for it in {folder}, of any kind: {waiting}" if waiting else ""


def _dimensions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in _DIMENSIONS]:
        raise argparse.ArgumentTypeError(f"no {unknown[0]!r}; known: {', '.join(_DIMENSIONS)}")
    return list(dict.fromkeys(names))


def _scope(args: argparse.Namespace) -> "Scope":
    from proxy.store.scope import Scope  # noqa: PLC0415 - as in `open_store`

    return Scope(
        since_ms=None if args.since is None else int(args.since.timestamp() * 1000),
        until_ms=None if args.until is None else int(args.until.timestamp() * 1000),
        key=args.key,
        owner=args.owner,
        model=args.model,
    )


def _groups(engine: "sa.Engine", by: Sequence[str], scope: "Scope") -> "Iterator[Group]":
    from proxy.store.usage import usage  # noqa: PLC0415 - as in `open_store`

    after = None
    while True:
        page = usage(engine, by, scope, limit=_PAGE, after=after, within_s=_PATIENT_S)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].of


def _breaks(engine: "sa.Engine", args: argparse.Namespace) -> dict[tuple[str, ...], int] | None:
    """Return what cache breaks cost, by what the table is by; None: they are not known by that."""
    from proxy.ledger.cache_breaks import REASONS  # noqa: PLC0415 - as in `open_store`
    from proxy.store.views import cache_sums  # noqa: PLC0415 - as in `open_store`

    if not set(args.by) <= set(_OF_BREAKS) or args.owner is not None:
        return None
    costs: dict[tuple[str, ...], int] = {}
    for each in cache_sums(engine, _scope(args), (*args.by, "kind")):
        if each.kind in REASONS:
            at = datetime.date(1970, 1, 1) + datetime.timedelta(each.day)
            known = {"day": at.isoformat(), "key": each.key, "model": each.model}
            of = tuple(known[name] for name in args.by)
            costs[of] = costs.get(of, 0) + each.cost_micros
    return costs


def _table(
    by: Sequence[str],
    data: Sequence[dict[str, Any]],
    total: dict[str, int],
    breaks: dict[tuple[str, ...], int] | None,
) -> str:
    from proxy.commands.tables import table  # noqa: PLC0415 - only what draws imports what it takes

    rows: list[tuple[str, ...]]
    rows = [(*(each[name] or "-" for name in by), *_numbers(each)) for each in data]
    rows.append(("total", *("" for _ in by[1:]), *_numbers(total)))
    columns: tuple[str, ...] = _COLUMNS
    if shutil.get_terminal_size().columns >= _WIDE:
        columns = (*_MORE, *_COLUMNS)
        lost = [
            None if breaks is None else breaks.get(tuple(each[name] or "" for name in by), 0)
            for each in data
        ]
        lost.append(None if breaks is None else sum(breaks.values()))
        rows = [
            (*row[: len(by)], _hit(sums), _lost(micros), *row[len(by) :])
            for row, sums, micros in zip(rows, (*data, total), lost, strict=True)
        ]
    return table((*by, *columns), rows, right=len(columns))


def _hit(sums: dict[str, Any]) -> str:
    written = sums["cache_write_5m_tokens"] + sums["cache_write_1h_tokens"]
    read = sums["cache_read_tokens"]
    whole = sums["input_tokens"] + written + read
    return f"{100 * read / whole:.1f} %" if whole else "-"


def _lost(micros: int | None) -> str:
    return "-" if micros is None else amounts.exact_dollars(micros)


def _numbers(sums: dict[str, Any]) -> tuple[str, ...]:
    written = sums["cache_write_5m_tokens"] + sums["cache_write_1h_tokens"]
    return (
        str(sums["requests"]),
        str(sums["input_tokens"] + written),
        str(sums["cache_read_tokens"]),
        str(sums["output_tokens"]),
        amounts.exact_dollars(sums["cost_micros"]),
    )


def _csv(by: Sequence[str], data: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, (*by, *_SUMS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in each.items()} for each in data)
    return text.getvalue().removesuffix("\n")
