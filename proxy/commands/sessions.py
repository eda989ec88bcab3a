"""`anyrouter sessions` and `anyrouter session`: what Claude Code's sessions cost, and where in one the money went."""

import argparse
import datetime
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from proxy.admin.page import figures
from proxy.commands import amounts, options
from proxy.commands.opened_store import open_store, tenants_of
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say, say_on_errors

if TYPE_CHECKING:
    from proxy.admin.session_report import Line, SessionReport
    from proxy.store.sessions import Session

_DAY = datetime.timedelta(days=1)
_SHOWN_ID_CHARS, _SHORT_ID_CHARS = 12, 8
# Below so many characters a line has what matters most, and ids how they begin, which `anyrouter session` takes, too.
_NARROW, _NARROW_TREE = 140, 90
_COLUMNS = ("requests", "agents", "from cache", "breaks", "lost", "by agents", "spent")
_NARROW_COLUMNS = ("requests", "agents", "lost", "spent")
_TREE_COLUMNS = ("own", "with below", "requests", "from cache", "breaks", "lost")
_NARROW_TREE_COLUMNS = ("own", "with below", "requests", "breaks", "lost")


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe both commands."""
    parser = add_command(
        subparsers,
        "sessions",
        "show what Claude Code's sessions cost",
        "Lists sessions of the `store`, the dearest first, with what they used in that time; the gateway need not run. "
        "Cache breaks are those that its admin API has found.",
        examples=(
            "anyrouter sessions",
            "anyrouter sessions --since 7d --key laptop",
            "anyrouter sessions --order breaks --json",
        ),
    )
    parser.add_argument(
        "--since", type=amounts.since, metavar="TIME", help="7d, or 2026-11-01; default: 24h"
    )
    parser.add_argument("--key", metavar="NAME", help="of this key only")
    parser.add_argument(
        "--order",
        choices=("cost", "agents", "breaks", "recent"),
        default="cost",
        help="which come first; default: cost",
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="default: 20")
    options.add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)
    _add_session_parser(subparsers)


def _add_session_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    parser = add_command(
        subparsers,
        "session",
        "show where a session's money went",
        "Shows a session of the `store` as a tree: its prompts, the agents that each began, and their own agents, each "
        "with what it cost itself and with all below. Without Claude Code's hint headers there is one prompt.",
        examples=("anyrouter session b160e3de-1111-4222-8333-444455556666",),
    )
    parser.add_argument(
        "id", metavar="ID", help="of the session, or how it begins: six characters or more"
    )
    options.add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs, with every request")
    parser.set_defaults(run=report_of)


def run(args: argparse.Namespace) -> int:
    """Print the sessions."""
    from proxy.store.scope import Scope  # noqa: PLC0415 - as in `open_store`
    from proxy.store.sessions import sessions  # noqa: PLC0415 - as in `open_store`

    tenants = tenants_of(args)
    since = args.since or datetime.datetime.now(datetime.UTC) - _DAY
    scope = Scope(since_ms=int(since.timestamp() * 1000), key=args.key)
    with open_store(tenants, is_made=False) as engine:
        found = sessions(engine, scope, order=args.order, limit=max(args.limit, 1))
    if args.json:
        say(msgspec.json.encode({"data": found}).decode())
    elif found:
        say(_table(found))
    else:
        say_on_errors("there is no session in the store of that key and time")
    return 0


def _table(found: Iterable["Session"]) -> str:
    from proxy.commands.tables import table, width  # noqa: PLC0415 - only what draws imports what it takes

    if width() >= _NARROW:
        return table(("session", "key", "last", *_COLUMNS), map(_row, found), right=len(_COLUMNS))
    columns = ("session", "key", "last", *_NARROW_COLUMNS)
    shown = list(found)
    chars = _telling_chars([each.id for each in shown])
    rows = (_narrow_row(each, chars) for each in shown)
    return table(columns, rows, right=len(_NARROW_COLUMNS))


def _telling_chars(ids: Sequence[str]) -> int:
    """Return how long beginnings of ids must be to tell them apart: clients of their own write any."""
    chars = _SHORT_ID_CHARS
    while len({each[:chars] for each in ids}) < len(set(ids)):
        chars += 1
    return chars


def _narrow_row(session: "Session", id_chars: int) -> tuple[str, ...]:
    return (
        session.id[:id_chars],
        session.key,
        figures.minute(session.last_ms),
        figures.count(session.requests),
        figures.count(session.agents),
        figures.money(session.breaks_micros),
        figures.money(session.cost_micros),
    )


def _row(session: "Session") -> tuple[str, ...]:
    prompt = session.input_tokens + session.cache_write_tokens + session.cache_read_tokens
    return (
        session.id,
        session.key,
        figures.moment(session.last_ms),
        figures.count(session.requests),
        figures.count(session.agents),
        figures.share(session.cache_read_tokens, prompt),
        figures.count(session.breaks),
        figures.money(session.breaks_micros),
        figures.money(session.agents_micros),
        figures.money(session.cost_micros),
    )


def report_of(args: argparse.Namespace) -> int:
    """Print one session as a tree."""
    from proxy.admin.session_report import report  # noqa: PLC0415 - as in `open_store`
    from proxy.store.find import sessions_like  # noqa: PLC0415 - as in `open_store`
    from proxy.store.scope import Scope  # noqa: PLC0415 - as in `open_store`

    tenants = tenants_of(args)
    with open_store(tenants, is_made=False) as engine:
        ids = sessions_like(engine, Scope(), args.id)
        if len(ids) > 1:
            raise RuntimeError(f"several sessions begin with {args.id!r}: {', '.join(ids)}")
        found = report(engine, Scope(), ids[0], unfolded=args.json) if ids else None
    if found is None:
        raise RuntimeError(
            f"no session {args.id!r} in the store: `anyrouter sessions --since 30d` lists those there are"
        )
    say(msgspec.json.encode(found).decode() if args.json else _tree(found))
    return 0


def _tree(found: "SessionReport") -> str:
    from proxy.commands.tables import table, width  # noqa: PLC0415 - only what draws imports what it takes

    session = found.session
    main = figures.money(session.cost_micros - session.agents_micros)
    agents = figures.counted(session.agents, "agent")
    breaks = figures.counted(session.breaks, "cache break")
    said = (
        f"{figures.money(session.cost_micros)} = main {main} + {agents} {figures.money(session.agents_micros)}; "
        f"{figures.counted(session.requests, 'request')}; {breaks} {figures.money(session.breaks_micros)}; "
        f"{figures.money(session.estimated_micros)} estimated"
    )
    is_narrow = width() < _NARROW_TREE
    columns = _NARROW_TREE_COLUMNS if is_narrow else _TREE_COLUMNS
    rows = (_line(line, is_narrow=is_narrow) for line in found.lines)
    return f"{said}\n\n{table(('', *columns), rows, right=len(columns))}"


def _line(line: "Line", *, is_narrow: bool) -> tuple[str, ...]:
    name = line.name[: _SHORT_ID_CHARS if is_narrow else _SHOWN_ID_CHARS]
    match line.kind:
        case "prompt":
            text = f"prompt {name}" if name else "no prompt named"
        case "agents":
            text = f"{line.name} x{line.agents}"
        case _:
            text = f"{line.agent_type or 'agent'} {name}"
    return (
        "  " * line.depth + text,
        figures.money(line.own_micros),
        figures.money(line.below_micros),
        figures.count(line.requests),
        *(() if is_narrow else (figures.share(line.cache_read_tokens, line.input_tokens),)),
        figures.count(line.breaks),
        figures.money(line.breaks_micros),
    )
