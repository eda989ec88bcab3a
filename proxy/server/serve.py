"""Serve a gateway: listen, wait for a signal, drain."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import web

from proxy.aiohttp_fast.static_routes import StaticRoutes
from proxy.app import RUNNER_OPTIONS
from proxy.config import Config
from proxy.gateway import GATEWAY
from proxy.server.listener import Listener

_log = logging.getLogger(__name__)

HURRY = signal.SIGUSR1

_BACKLOG = 2048
_LAST_WORDS_S = 2.0


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, config: Config, *, reuse_port: bool = False
) -> AsyncIterator[Sequence[tuple[str, int]]]:
    """Serve an application of `create_app` inside the context; yields the bound addresses.

    Raises:
        OSError: the address cannot be bound.
    """
    runner = web.AppRunner(app, shutdown_timeout=_LAST_WORDS_S, **RUNNER_OPTIONS)
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("the runner has no server after its setup")
        gateway = app[GATEWAY]
        gateway.host_may_decode = False
        handle = StaticRoutes(app, runner.server.request_handler)
        runner.server.request_handler = handle  # type: ignore[assignment] # AppRunner always builds web.Request
        listener = Listener(runner.server, config, gateway.ended)
        server = await asyncio.get_running_loop().create_server(
            listener,
            config.listen.host,
            config.listen.port,
            backlog=_BACKLOG,
            reuse_port=reuse_port,
        )
        try:
            yield [sock.getsockname()[:2] for sock in server.sockets]
        finally:
            server.close()
            listener.close()
    finally:
        await runner.cleanup()


async def drain(app: web.Application, drain_s: float, hurry: asyncio.Event) -> None:
    """Take no new request, let those in flight finish, end what is left after `drain_s` or on `hurry`."""
    gateway = app[GATEWAY]
    gateway.draining = True
    _log.info("draining: %d requests in flight", len(gateway.deadlines.in_flight))
    idle = asyncio.create_task(gateway.deadlines.idle())
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait((idle, hurried), timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not idle.done():
        _log.warning("ending %d requests unfinished", len(gateway.deadlines.in_flight))
        gateway.deadlines.interrupt_all()
        await asyncio.wait((idle,), timeout=_LAST_WORDS_S)
    idle.cancel()


async def serve(
    app: web.Application,
    config: Config,
    ready: Callable[[Sequence[tuple[str, int]]], None],
    *,
    is_worker: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain.

    Args:
        app: returned by `create_app(config)`.
        config: says where to listen and how long to drain.
        ready: called with the bound addresses.
        is_worker: whether this is one of several processes on the port. Its parent alone acts on Ctrl-C, and a
            service manager may signal all of them at once: so a worker ends its drain on `HURRY` only.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        if stop.is_set() and not is_worker:
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signalled)
    if is_worker:
        loop.add_signal_handler(HURRY, hurry.set)
    else:
        loop.add_signal_handler(signal.SIGINT, signalled)
    # What lives as long as the process is never garbage: to look through it all held every request for 31 ms.
    gc.freeze()
    async with listening(app, config, reuse_port=is_worker) as addresses:
        ready(addresses)
        await stop.wait()
        await drain(app, config.timeouts.drain_s, hurry)
    _log.info("stopped")
