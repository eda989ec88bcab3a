"""`anyrouter statusline`: a line below Claude Code's prompt: what the session costs, what is spent of the budget."""

import argparse
import contextlib
import os
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.client import HTTPException
from typing import Annotated
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

import msgspec

from proxy.admin.page import figures
from proxy.commands import options, standard_files
from proxy.commands.parser import add_command
from proxy.version import __version__

_WITHIN_S = 1.0
_OK = 200
# More is no session that anybody could read about.
_MAX_BYTES = 1 << 24
_MICROS_PER_CENT = 10_000
_PERIODS = {"daily": "today", "monthly": "this month"}
_NO_GATEWAY = (
    "nothing to say: a URL and a key are needed, of one gateway: ANYROUTER_URL and ANYROUTER_KEY"
)
_NOTHING_KNOWN = "nothing to say: the key has no budget, or no answer came within a second: `anyrouter doctor` looks"
_VARIABLES = {
    "ANYROUTER_ADMIN_URL": "where the gateway's pages are; without it, nothing is said of the session",
    "ANTHROPIC_BASE_URL": "in place of ANYROUTER_URL, as Claude Code has it",
    "ANTHROPIC_AUTH_TOKEN": "in place of ANYROUTER_KEY, as Claude Code has it",
    "ANTHROPIC_API_KEY": "in place of ANTHROPIC_AUTH_TOKEN, where there is none",
}


# Whoever answers may say anything: what is no amount is not shown.
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**18)]
_Cents = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class Session(msgspec.Struct):
    """What a session has cost and used."""

    cost_micros: _Count
    agents_micros: _Count
    input_tokens: _Count
    cache_write_tokens: _Count
    cache_read_tokens: _Count


class Budget(msgspec.Struct):
    """A budget of the key; active: the one that most is spent of."""

    group: str
    is_active: bool


class Spent(msgspec.Struct):
    """What was spent of the active budget, in cents; no limit: there is none."""

    used_credits: _Cents
    monthly_limit: _Cents | None


class Usage(msgspec.Struct):
    """What `GET /api/oauth/usage` says."""

    extra_usage: Spent
    limits: list[Budget]


class _Page(msgspec.Struct):
    session: Session


class _Input(msgspec.Struct):
    session_id: str


class _Told:
    """What is known so far."""

    session: Session | None = None
    usage: Usage | None = None


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "statusline",
        "print a line for Claude Code's status line",
        "Reads what Claude Code tells its status line from stdin, and prints a line such as `$14.82 (agents $11.72) | "
        "today $37 of $50 | cache 91.3 %`: of what is known within a second. Whatever the gateway does, it is no "
        "failure.",
        examples=(
            "anyrouter statusline",
            "anyrouter statusline --admin-url https://view.example.com",
        ),
        environment={**options.GATEWAY_VARIABLES, **_VARIABLES},
        exit_status={"0": "done, also when there is nothing to say"},
    )
    options.add_gateway(parser)
    parser.add_argument(
        "--admin-url",
        default=os.environ.get("ANYROUTER_ADMIN_URL"),
        help="where the gateway's pages are; default: $ANYROUTER_ADMIN_URL",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the line; what is not known in time is left out."""
    told = _Told()
    ends_at = time.monotonic() + _WITHIN_S
    # Looking up a name and reading a pipe that nobody closes have no time limit: these end with the process.
    threads = [
        threading.Thread(target=_learn, args=(learn, args, told), daemon=True)
        for learn in (_learn_session, _learn_usage)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(ends_at - time.monotonic(), 0))
    if said := line(told.session, told.usage):
        # Whatever the locale: Claude Code reads UTF-8.
        with contextlib.suppress(OSError):
            standard_files.output().write(f"{said}\n".encode())
    elif os.isatty(1):  # below a prompt is no place for it: there nothing is said
        standard_files.say_on_errors(_NO_GATEWAY if _gateway(args) is None else _NOTHING_KNOWN)
    return 0


def line(session: Session | None, usage: Usage | None) -> str:
    """Return the line. Pure.

    Args:
        session: that runs; None: not known.
        usage: of the key; None: not known.
    """
    pieces = []
    if session is not None:
        agents = f" (agents {_money(session.agents_micros)})" if session.agents_micros else ""
        pieces.append(f"{_money(session.cost_micros)}{agents}")
    if usage is not None:
        pieces += _spent(usage)
    if session is not None:
        read = session.cache_read_tokens
        if whole := session.input_tokens + session.cache_write_tokens + read:
            pieces.append(f"cache {figures.share(read, whole)}")
    return " \N{MIDDLE DOT} ".join(pieces)


def _spent(usage: Usage) -> list[str]:
    spent, limit = usage.extra_usage.used_credits, usage.extra_usage.monthly_limit
    # Of a key without a budget nothing may have been counted.
    if limit is None:
        return []
    active = [each.group for each in usage.limits if each.is_active and each.group in _PERIODS]
    return [f"{_PERIODS[(*active, 'monthly')[0]]} {_cents(spent)} of {_cents(limit)}"]


def _cents(cents: float) -> str:
    return _money(round(cents * _MICROS_PER_CENT))


def _money(micros: int) -> str:
    return figures.money(micros).removesuffix(".00")


def _learn(
    learn: Callable[[argparse.Namespace, _Told], None], args: argparse.Namespace, told: _Told
) -> None:
    # Below a prompt is no place for what is wrong: `anyrouter doctor` says it.
    with contextlib.suppress(OSError, ValueError, HTTPException, msgspec.MsgspecError):
        learn(args, told)


def _learn_session(args: argparse.Namespace, told: _Told) -> None:
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        given = msgspec.json.decode(stdin.readall(), type=_Input)
    gateway = _gateway(args)
    if args.admin_url and gateway is not None:
        path = f"/sessions/{urllib.parse.quote(given.session_id, safe='')}.json"
        page = _get(args.admin_url.rstrip("/") + path, gateway[1], args.ca)
        told.session = msgspec.json.decode(page, type=_Page).session


def _learn_usage(args: argparse.Namespace, told: _Told) -> None:
    gateway = _gateway(args)
    if gateway is not None:
        url = gateway[0].rstrip("/").removesuffix("/v1")
        body = _get(f"{url}/api/oauth/usage", gateway[1], args.ca)
        told.usage = msgspec.json.decode(body, type=Usage)


def _gateway(args: argparse.Namespace) -> tuple[str, str] | None:
    """Return base URL and key, which are of each other: a key is sent nowhere else."""
    named = args.url, args.key or os.environ.get("ANYROUTER_KEY")
    of_claude = (
        os.environ.get("ANTHROPIC_BASE_URL"),
        os.environ.get("ANTHROPIC_AUTH_TOKEN") or os.environ.get("ANTHROPIC_API_KEY"),
    )
    return next(((url, key) for url, key in (named, of_claude) if url and key), None)


def _get(url: str, key: str, ca: str | None) -> bytes:
    """Return what is at a URL, through the environment's proxy; no redirect is followed, which could lead the key away.

    Raises:
        OSError: nothing answers, or not with 200.
        ValueError, HTTPException: the URL or the key can be none, or the answer is none.
    """
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), UnknownHandler()):
        opener.add_handler(handler)
    if url.startswith("https:"):
        context = ssl.create_default_context()
        if ca is not None:
            context.load_verify_locations(ca)
        opener.add_handler(HTTPSHandler(context=context))
    headers = {"x-api-key": key, "user-agent": f"anyrouter-statusline/{__version__}"}
    request = Request(url, headers=headers)  # noqa: S310 - the opener knows HTTP and HTTPS alone
    with opener.open(request, timeout=_WITHIN_S) as response:
        if response.status != _OK:
            raise OSError(f"status {response.status}")
        body: bytes = response.read(_MAX_BYTES)
        return body
