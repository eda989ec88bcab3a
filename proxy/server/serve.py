"""Serve a gateway: listen, wait for a signal, drain."""

import asyncio
import contextlib
import functools
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from aiohttp import web

from proxy.aiohttp_fast import route_early
from proxy.config import Config
from proxy.gateway import GATEWAY
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.server.addresses import bound
from proxy.server.handshake import Handshakes
from proxy.server.heartbeat import ParentLink
from proxy.server.listener import Listener
from proxy.server.notify import notify
from proxy.server.reload import Reloader
from proxy.server.signals import Hangup
from proxy.server.slots import BACKLOG
from proxy.server.tls import ServerTls

_log = logging.getLogger(__name__)

# A client that leaves cancels its request at once, bodies come undecoded, and the access log is ours.
_RUNNER_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
    "handler_cancellation": True,
}
_FORCED_DRAIN_S = 2.0


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, config: Config
) -> AsyncIterator[Sequence[tuple[str, int]]]:
    """Serve an application of `create_app` inside the context; yields the bound addresses.

    Raises:
        OSError: the address cannot be bound.
    """
    async with _servers(app, config, ()) as servers:
        yield _addresses(servers)


def _addresses(servers: Sequence[asyncio.Server]) -> list[tuple[str, int]]:
    return [one.getsockname()[:2] for server in servers for one in server.sockets]


@contextlib.asynccontextmanager
async def _servers(
    app: web.Application,
    config: Config,
    sockets: Sequence[socket.socket],
    tls: ServerTls | None = None,
) -> AsyncIterator[Sequence[asyncio.Server]]:
    """Serve an application on these sockets, or on those that the configuration says when there are none."""
    if tls is None and config.listen.tls is not None:
        tls = ServerTls(config.listen.tls)
    runner = web.AppRunner(app, shutdown_timeout=_FORCED_DRAIN_S, **_RUNNER_OPTIONS)
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("the runner has no server after its setup")
        gateway = app[GATEWAY]
        gateway.is_hosted = False
        handle = route_early(app, runner.server.request_handler)
        runner.server.request_handler = handle  # type: ignore[assignment] # AppRunner always builds web.Request
        listener = Listener(runner.server, config, gateway.ended, lambda: gateway.leaving)
        gateway.on_reload.append(listener.change)
        gateway.connected = listener.connected
        handshakes = None if tls is None else Handshakes(listener, tls)
        if tls is not None:
            gateway.on_reload.append(tls.renew)
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as opened:
            sockets = sockets or opened.enter_context(
                bound(config.listen.hosts, config.listen.port)
            )
            servers = [
                await loop.create_server(handshakes or listener, sock=one, backlog=BACKLOG)
                for one in sockets
            ]
            try:
                yield servers
            finally:
                for server in servers:
                    server.close()
                listener.close()
                if handshakes is not None:
                    handshakes.close()
    finally:
        await runner.cleanup()


async def leave(app: web.Application, leave_s: float, force_exit: asyncio.Event) -> None:
    """Serve on for a while, not ready any more: each connection closes behind its next response."""
    if leave_s:
        app[GATEWAY].leaving = True
        _log.info(
            "leaving: not ready any more; serving on for %g s, so that balancers notice", leave_s
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(leave_s):
                await force_exit.wait()


async def drain(app: web.Application, drain_s: float, force_exit: asyncio.Event) -> None:
    """Take no new request, let those in flight finish, end what is left after `drain_s` or on `force_exit`."""
    gateway = app[GATEWAY]
    gateway.draining = True
    if in_flight := len(gateway.deadlines.in_flight):
        _log.info(
            "draining: %d in flight, for %g s at the most; a second Ctrl-C or SIGTERM ends them now",
            in_flight,
            drain_s,
        )
    idle = asyncio.create_task(gateway.deadlines.idle())
    forced = asyncio.create_task(force_exit.wait())
    await asyncio.wait((idle, forced), timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
    forced.cancel()
    if not idle.done():
        _log.warning(
            "requests unfinished, and ended now: %d",
            len(gateway.deadlines.in_flight),
            extra=notice(Event.DRAIN_CUT),
        )
        gateway.deadlines.interrupt_all()
        await asyncio.wait((idle,), timeout=_FORCED_DRAIN_S)
    idle.cancel()


async def serve(
    app: web.Application,
    config: Config,
    ready: Callable[[Sequence[tuple[str, int]]], None],
    *,
    reloader: Reloader | None = None,
    parent: ParentLink | None = None,
    sockets: Sequence[socket.socket] = (),
    tls: ServerTls | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or the end of the terminal, then drain; a second signal ends the drain.

    Args:
        app: made of `config`.
        config: says where to listen and how long to drain.
        ready: called with the bound addresses.
        reloader: makes a changed configuration count; None: it counts from the next start on.
        parent: of one of several processes on the port. It alone acts on Ctrl-C and on a closed terminal, and a
            service manager may signal all of them at once: so a worker's drain ends when its parent says so.
        sockets: its parent's, which listen already.
        tls: its parent's; None: that of the configuration, if any.
    """
    stop, force_exit = asyncio.Event(), asyncio.Event()

    def receive_stop() -> None:
        if stop.is_set() and parent is None:
            force_exit.set()
        stop.set()

    ask_for_reload = _log_that_none_is_read if reloader is None else reloader.ask

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, receive_stop)
    if parent is None:
        hang_up = functools.partial(_hang_up, Hangup(), stop, ask_for_reload)
        loop.add_signal_handler(signal.SIGINT, receive_stop)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    # What lives as long as the process is never garbage: to look through it all held every request for 31 ms.
    gc.freeze()
    async with _servers(app, config, sockets, tls) as servers:

        def leave_port() -> None:
            """End without a parent: nobody else would end us, and the next gateway is to have the port at once."""
            _log.warning(
                "the first process is gone: leaving the port, and stopping",
                extra=notice(Event.FIRST_PROCESS_GONE),
            )
            for server in servers:
                server.close()
            stop.set()

        ready(_addresses(servers))
        if parent is not None:
            parent.follow(leave_port, force_exit.set, ask_for_reload)
        reloading = None if reloader is None else asyncio.create_task(reloader.run())
        await stop.wait()
        if reloading is not None:
            reloading.cancel()
        if parent is None:
            notify("STOPPING=1")
        timeouts = app[GATEWAY].snapshot.config.timeouts
        await leave(app, timeouts.leave_s, force_exit)
        await drain(app, timeouts.drain_s, force_exit)
    _log.info("stopped")


def _hang_up(hangup: Hangup, stop: asyncio.Event, ask_for_reload: Callable[[], None]) -> None:
    if hangup.ends():
        stop.set()
    else:
        ask_for_reload()


def _log_that_none_is_read() -> None:
    _log.warning(
        "SIGHUP is ignored: this gateway reads no configuration", extra=notice(Event.HANGUP_IGNORED)
    )
