"""What lives in a worker, told to the admin API's process over a Unix socket that only the two can open."""

import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from aiohttp import web

from proxy.errors import NotFound
from proxy.gateway import GATEWAY, Gateway
from proxy.tenancy.state import limits_of

_GATEWAY = web.AppKey("state_of", Gateway)


class StateSocket:
    """A worker's socket, bound before the fork, so that a worker that is replaced answers at the same place.

    Attributes:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)

    def close(self) -> None:
        """Close it in this process."""
        self._socket.close()

    async def serve(self, app: web.Application) -> AsyncIterator[None]:
        """Tell the state of a gateway's application for as long as it runs: one of its cleanup contexts."""
        state = web.Application()
        state[_GATEWAY] = app[GATEWAY]
        state.router.add_get("/limits/{kind}/{name}", _limits)
        state.router.add_get("/ledger", _ledger)
        runner = web.AppRunner(state, access_log=None)
        await runner.setup()
        await web.SockSite(runner, self._socket.dup()).start()
        yield
        await runner.cleanup()


@contextlib.contextmanager
def state_sockets(count: int) -> Iterator[list[StateSocket]]:
    """Bind sockets in a folder that is this user's alone, and remove them in the end.

    Raises:
        RuntimeError: there is no folder for temporary files.
    """
    with contextlib.ExitStack() as stack:
        sockets: list[StateSocket] = []
        if count:
            folder = Path(stack.enter_context(_private_folder()))
            for i in range(count):
                sockets.append(StateSocket(folder / str(i)))
                stack.callback(sockets[-1].close)
        yield sockets


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="anyrouter-")
    except FileNotFoundError:
        raise RuntimeError(
            "admin: its process and the workers meet in a folder for temporary files, and there is none: give it a"
            " tmpfs at /tmp, or TMPDIR"
        ) from None


async def _limits(request: web.Request) -> web.Response:
    tenancy = request.app[_GATEWAY].tenancy
    kind, name = request.match_info["kind"], request.match_info["name"]
    if tenancy is None:
        return _json({"message": "nothing is limited"}, status=404)
    try:
        told = await limits_of(tenancy, request.app[_GATEWAY].snapshot.config, kind, name)
    except NotFound as error:
        return _json({"message": error.message}, status=404)
    return _json(told)


async def _ledger(request: web.Request) -> web.Response:
    tenancy = request.app[_GATEWAY].tenancy
    ledger = None if tenancy is None else tenancy.ledger
    return _json(None if ledger is None else ledger.status())


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
