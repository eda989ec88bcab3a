"""The first request to a gateway: is one there, in which version, and whose key is this."""

import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
from yarl import URL

from proxy.commands import diagnosis
from proxy.config_file.faults import ConfigError
from proxy.version import __version__

_NETRC = "NETRC"


class FindingError(Exception):
    """What was found wrong."""


class Greeting(NamedTuple):
    """How a gateway answers.

    Attributes:
        version: its own.
        key_name: whose key was presented; None: one that it does not know, or that has expired.
        front: `Server` and `Via` of what answers.
    """

    version: str
    key_name: str | None
    front: str


@contextlib.asynccontextmanager
async def client(
    timeout_s: float, ca: str | None, command: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session that reaches a gateway as other clients do: through the environment's proxy.

    Args:
        timeout_s: for each request.
        ca: the file of an authority to trust beside the system's; None: none.
        command: who asks, as the gateway's log has it.

    Raises:
        ConfigError: that file cannot be read.
    """
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError:
            raise ConfigError(f"--ca: {ca}: holds no certificate") from None
        except OSError as error:
            raise ConfigError(f"--ca: {ca}: {error.strerror}") from None
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    with _without_netrc():
        async with aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(ssl=context),
            trust_env=True,
            headers={"user-agent": f"anyrouter-{command}/{__version__}"},
        ) as session:
            yield session


@contextlib.contextmanager
def _without_netrc() -> Iterator[None]:
    """Keep passwords of ~/.netrc out of requests: aiohttp takes them where it takes the environment's proxy."""
    before = os.environ.get(_NETRC)
    os.environ[_NETRC] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NETRC]
        else:
            os.environ[_NETRC] = before


def absolute(ca: str | None) -> str | None:
    """Return the file of an authority so that every program finds it."""
    return None if ca is None else str(Path(ca).absolute())


async def greet(session: aiohttp.ClientSession, given_url: str, key: str) -> Greeting:
    """Ask whether a gateway is there.

    Raises:
        FindingError: none is; in a sentence, with what to do.
    """
    if (wrong := diagnosis.wrong_url(given_url)) is not None:
        raise FindingError(wrong)
    # Clients may be given a base URL with /v1, and greet without it.
    url = URL(re.sub(r"(/+v1)*/*$", "", given_url.rstrip("/")) + "/hello")
    try:
        async with session.get(url, headers={"x-api-key": key}, allow_redirects=False) as response:
            body, status, headers = await response.read(), response.status, response.headers
    except (aiohttp.ClientError, OSError) as error:
        raise FindingError(diagnosis.why_unreached(error, url)) from error
    try:
        told = msgspec.json.decode(body, type=dict[str, str]) if status == 200 else {}  # noqa: PLR2004 - as the line says
    except msgspec.MsgspecError:
        told = {}
    if told.get("service") != "anyrouter":
        raise FindingError(diagnosis.not_the_gateway(url, status, headers, body))
    front = f"{headers.get('server', '')} {headers.get('via', '')}"
    return Greeting(told.get("version", "of unknown version"), told.get("key"), front)
