"""The pages of a gateway of the same process, on a port of their own."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from proxy.gateway import Gateway

_log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_SHUTDOWN_S = 0.5


def listening(port: int) -> socket.socket:
    """Listen on a port, or on a free one where it is taken: whoever connects waits until the pages are there.

    Raises:
        OSError: none is free.
    """
    try:
        return socket.create_server((_HOST, port))
    except OSError:
        return socket.create_server((_HOST, 0))


@contextlib.asynccontextmanager
async def pages(gateway: Gateway, listener: socket.socket) -> AsyncIterator[Callable[[], None]]:
    """Yield what begins to serve the pages: what they need is loaded in a thread, after the gateway has started.

    Args:
        gateway: whose configuration has `admin`.
        listener: of the pages.
    """
    async with contextlib.AsyncExitStack() as opened:
        tasks: list[asyncio.Task[None]] = []
        yield lambda: tasks.append(asyncio.create_task(_serve(gateway, listener, opened)))
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _serve(
    gateway: Gateway, listener: socket.socket, opened: contextlib.AsyncExitStack
) -> None:
    try:
        app = await asyncio.to_thread(_application, gateway)
        from proxy.admin.runner import runner_of  # noqa: PLC0415 - loaded by the thread

        runner = runner_of(app, _SHUTDOWN_S)
        opened.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.SockSite(runner, listener).start()
    except Exception:  # noqa: BLE001 - logged with its traceback; the gateway goes on without pages
        _log.exception("the pages cannot be served")
        listener.close()


def _application(gateway: Gateway) -> web.Application:
    from proxy.admin.app import create_app_for  # noqa: PLC0415 - in the thread

    return create_app_for(gateway)
