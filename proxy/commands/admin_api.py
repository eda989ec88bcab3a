"""Ask the admin API of a running gateway: what commands do that show what nobody else knows."""

import argparse
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from proxy.commands import diagnosis, options
from proxy.commands.greeting import client
from proxy.config_file.faults import ConfigError
from proxy.config_file.listens import has_no_admin

_TIMEOUT_S = 15.0
_OK, _UNAUTHENTICATED, _NOT_FOUND = 200, 401, 404

# Of the help's section on variables.
VARIABLES = {
    "ANYROUTER_ADMIN_URL": "where the admin API listens",
    "ANYROUTER_ADMIN_KEY": "one of admin.keys",
}

# Given a path below /admin/v1, with its query; returns what is there.
Ask = Callable[[str], Awaitable[dict[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, `--key` and `--ca` of an admin API."""
    parser.add_argument(
        "--url",
        default=os.environ.get("ANYROUTER_ADMIN_URL"),
        help="of the admin API; default: $ANYROUTER_ADMIN_URL, or that of the configuration here, or "
        "http://127.0.0.1:8081",
    )
    parser.add_argument("--key", help="one of admin.keys; default: $ANYROUTER_ADMIN_KEY")
    parser.add_argument("--ca", metavar="FILE", help="certificate of an authority to trust")


@contextlib.asynccontextmanager
async def asking(args: argparse.Namespace) -> AsyncIterator[Ask]:
    """Open a session; yields what asks, and raises as `_asked` does.

    Raises:
        ConfigError: the key or the file of the authority is wrong.
    """
    async with client(_TIMEOUT_S, args.ca, "admin") as session:
        session.headers["x-api-key"] = _given_key(args)
        yield functools.partial(_asked, session, args)


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
                f"{here}: `admin` is not configured, and this is asked of the admin API: give it `admin`, and start "
                "the gateway again; or --url, for one that is elsewhere"
            ) from None
        raise RuntimeError(
            f"{diagnosis.why_unreached(error, place)}; the admin API is where `admin` of its configuration says"
        ) from None
    if status == _UNAUTHENTICATED:
        raise ConfigError(
            "--key: the admin API does not know it: `admin.keys` of the gateway has it"
        )
    told = diagnosis.quote_error(status, headers, body)
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
