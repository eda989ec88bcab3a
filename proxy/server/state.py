"""What lives in a worker, told to the admin API's process over a Unix socket that only the two can open."""

import contextlib
import mmap
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from proxy.errors import NotFound
from proxy.gateway import GATEWAY, Gateway
from proxy.ledger.ledger import Status
from proxy.server import leftovers
from proxy.server.live import MAX_ROWS, live_here
from proxy.server.tally import tally_here
from proxy.server.upstreams import upstreams_here
from proxy.tenancy.state import limits_of, page_of_limits

# With what is added to it, the path of a socket must not have more than 107 bytes.
_MAX_STATE_DIR_BYTES = 80

_COUNT_BYTES = 8

_GATEWAY = web.AppKey("state_of", Gateway)
_RESTARTS = web.AppKey("restarts", int)


class StateSocket:
    """A worker's socket, bound before the fork, so that a worker that is replaced answers at the same place.

    Attributes:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        # Shared by the processes that are forked: how many have begun to serve here.
        self._starts = mmap.mmap(-1, _COUNT_BYTES)

    def close(self) -> None:
        """Close it in this process."""
        self._socket.close()

    async def serve(self, app: web.Application) -> AsyncIterator[None]:
        """Tell the state of a gateway's application for as long as it runs: one of its cleanup contexts."""
        starts = int.from_bytes(self._starts[:]) + 1
        self._starts[:] = starts.to_bytes(_COUNT_BYTES)
        state = web.Application()
        state[_GATEWAY] = gateway = app[GATEWAY]
        state[_RESTARTS] = starts - 1
        gateway.begin_counting()
        state.router.add_get("/limits", _all_limits)
        state.router.add_get("/limits/{kind}/{name}", _limits)
        state.router.add_get("/ledger", _ledger)
        state.router.add_get("/upstreams", _upstreams)
        state.router.add_get("/live", _live)
        state.router.add_get("/tally", _tally)
        runner = web.AppRunner(state, access_log=None)
        await runner.setup()
        await web.SockSite(runner, self._socket.dup()).start()
        yield
        await runner.cleanup()


@contextlib.contextmanager
def state_sockets(count: int, state_dir: str | None) -> Iterator[list[StateSocket]]:
    """Bind sockets in a folder that is this user's alone, and remove them in the end.

    Args:
        count: how many; 0: nothing is made.
        state_dir: of the store, which is writable where little else is; None: there is no store.

    Raises:
        RuntimeError: there is no folder for them.
    """
    with contextlib.ExitStack() as stack:
        sockets: list[StateSocket] = []
        if count:
            folder = Path(stack.enter_context(_private_folder(state_dir)))
            stack.enter_context(leftovers.kept(folder))
            for i in range(count):
                sockets.append(StateSocket(folder / str(i)))
                stack.callback(sockets[-1].close)
        yield sockets


def _private_folder(state_dir: str | None) -> tempfile.TemporaryDirectory[str]:
    try:
        if state_dir is not None and len(os.fsencode(state_dir)) <= _MAX_STATE_DIR_BYTES:
            Path(state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(prefix=leftovers.PREFIX, dir=state_dir)
        return tempfile.TemporaryDirectory(prefix=leftovers.PREFIX)
    except OSError as error:
        raise RuntimeError(
            "admin: its process and the workers meet in a folder of store.state_dir or TMPDIR, and none can be made:"
            f" {error.strerror}"
        ) from None


async def limits_here(gateway: Gateway, kind: str, name: str) -> dict[str, Any]:
    """Return what a key, an owner or all together have left, as this process knows it.

    Raises:
        NotFound: there is none, or it has no key.
    """
    if gateway.tenancy is None:
        raise NotFound("nothing is limited")
    return await limits_of(gateway.tenancy, gateway.snapshot.config, kind, name)


async def all_limits_here(gateway: Gateway, limit: int, after: str) -> dict[str, Any]:
    """Return a page of what all have left that have a limit or a budget."""
    if gateway.tenancy is None:
        return {"data": [], "has_more": False, "next": None}
    return await page_of_limits(gateway.tenancy, gateway.snapshot.config, limit, after)


def ledger_here(gateway: Gateway) -> Status | None:
    """Return what waits in this process for the store; None: there is none."""
    ledger = None if gateway.tenancy is None else gateway.tenancy.ledger
    return None if ledger is None else ledger.status()


async def _limits(request: web.Request) -> web.Response:
    try:
        told = await limits_here(request.app[_GATEWAY], **request.match_info)
    except NotFound as error:
        return _json({"message": error.message}, status=404)
    return _json(told)


async def _all_limits(request: web.Request) -> web.Response:
    limit, after = int(request.query["limit"]), request.query["after"]
    return _json(await all_limits_here(request.app[_GATEWAY], limit, after))


async def _ledger(request: web.Request) -> web.Response:
    return _json(ledger_here(request.app[_GATEWAY]))


async def _upstreams(request: web.Request) -> web.Response:
    return _json(upstreams_here(request.app[_GATEWAY]))


async def _live(request: web.Request) -> web.Response:
    query = request.query
    limit = int(query.get("limit", MAX_ROWS))
    told = live_here(request.app[_GATEWAY], query.get("key"), query.get("upstream"), limit)
    return _json(await told)


async def _tally(request: web.Request) -> web.Response:
    return _json(tally_here(request.app[_GATEWAY], request.app[_RESTARTS]))


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
