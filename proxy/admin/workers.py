"""The admin API's view into what counts: the workers of this machine, or the gateway of its own process."""

import asyncio
import urllib.parse
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
import msgspec

from proxy.errors import NotFound
from proxy.gateway import Gateway
from proxy.server.live import live_here
from proxy.server.state import all_limits_here, ledger_here, limits_here
from proxy.server.tally import WorkerTold, tally_here
from proxy.server.upstreams import upstreams_here

_WITHIN_S = 2.0
_HTTP_OK, _HTTP_NOT_FOUND = 200, 404

# Status and body, as one worker tells it.
Answer = tuple[int, Any]


class Workers(Protocol):
    """Whoever counts limits and holds rows for the store; each answer is None where one does not answer."""

    async def limits(self, kind: str, name: str) -> list[Answer | None]:
        """Return what each says that a key, an owner or all together have left."""

    async def all_limits(self, limit: int, after: str) -> list[Answer | None]:
        """Return each one's page of what all have left that have a limit or a budget."""

    async def ledgers(self) -> list[Answer | None]:
        """Return what waits for the store in each."""

    async def upstreams(self) -> list[Answer | None]:
        """Return how the upstreams are, as each knows it."""

    async def live(self, key: str | None, upstream: str | None, limit: int) -> list[Answer | None]:
        """Return what each has in flight; of a key or an upstream alone, when one is given; so many of them each."""

    async def tallies(self) -> list[WorkerTold | None]:
        """Return what each has counted."""

    async def close(self) -> None:
        """Ask nothing any more."""


class OwnGateway:
    """The gateway of the same process; as `Workers`.

    Args:
        gateway: of the application that this is a part of.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def limits(self, kind: str, name: str) -> list[Answer | None]:
        """Return what a key, an owner or all together have left."""
        try:
            return [(_HTTP_OK, await limits_here(self._gateway, kind, name))]
        except NotFound as error:
            return [(_HTTP_NOT_FOUND, {"message": error.message})]

    async def all_limits(self, limit: int, after: str) -> list[Answer | None]:
        """Return a page of what all have left that have a limit or a budget."""
        return [(_HTTP_OK, await all_limits_here(self._gateway, limit, after))]

    async def ledgers(self) -> list[Answer | None]:
        """Return what waits for the store."""
        status = ledger_here(self._gateway)
        return [(_HTTP_OK, None if status is None else msgspec.structs.asdict(status))]

    async def upstreams(self) -> list[Answer | None]:
        """Return how the upstreams are."""
        return [(_HTTP_OK, msgspec.to_builtins(upstreams_here(self._gateway)))]

    async def live(self, key: str | None, upstream: str | None, limit: int) -> list[Answer | None]:
        """Return what is in flight."""
        told = await live_here(self._gateway, key, upstream, limit)
        return [(_HTTP_OK, msgspec.to_builtins(told))]

    async def tallies(self) -> list[WorkerTold | None]:
        """Return what it has counted."""
        return [tally_here(self._gateway)]

    async def close(self) -> None:
        """Do nothing: its gateway goes on."""


class SocketWorkers:
    """The workers of this machine, each behind its socket; as `Workers`.

    Connections stay open: a question by one of its own takes three times as much of a worker's event loop.

    Args:
        paths: of the sockets.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def limits(self, kind: str, name: str) -> list[Answer | None]:
        """Return what each says that a key, an owner or all together have left."""
        return await self._ask_all(f"/limits/{kind}/{urllib.parse.quote(name, safe='')}")

    async def all_limits(self, limit: int, after: str) -> list[Answer | None]:
        """Return each one's page of what all have left that have a limit or a budget."""
        return await self._ask_all(
            f"/limits?{urllib.parse.urlencode({'limit': limit, 'after': after})}"
        )

    async def ledgers(self) -> list[Answer | None]:
        """Return what waits for the store in each."""
        return await self._ask_all("/ledger")

    async def upstreams(self) -> list[Answer | None]:
        """Return how the upstreams are, as each knows it."""
        return await self._ask_all("/upstreams")

    async def live(self, key: str | None, upstream: str | None, limit: int) -> list[Answer | None]:
        """Return what each has in flight."""
        given = {"key": key, "upstream": upstream, "limit": str(limit)}
        query = {name: value for name, value in given.items() if value is not None}
        return await self._ask_all(f"/live?{urllib.parse.urlencode(query)}")

    async def tallies(self) -> list[WorkerTold | None]:
        """Return what each has counted."""
        told = await self._ask_all("/tally")
        return [None if each is None else msgspec.convert(each[1], WorkerTold) for each in told]

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _ask_all(self, path: str) -> list[Answer | None]:
        return await asyncio.gather(*(self._ask(each, path) for each in self._paths))

    async def _ask(self, socket_path: str, path: str) -> Answer | None:
        try:
            async with self._session(socket_path).get(f"http://worker{path}") as response:
                return response.status, msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            return None

    def _session(self, socket_path: str) -> aiohttp.ClientSession:
        session = self._sessions.get(socket_path)
        if session is None:
            connector = aiohttp.UnixConnector(socket_path)
            timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
            session = aiohttp.ClientSession(connector=connector, timeout=timeout)
            self._sessions[socket_path] = session
        return session
