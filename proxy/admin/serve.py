"""Serve the admin API in a process of its own: listen, until told to stop."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
from collections.abc import Sequence

from aiohttp import web

from proxy.admin.app import create_app
from proxy.admin.context import CONTEXT
from proxy.admin.runner import runner_of
from proxy.admin.workers import SocketWorkers
from proxy.config import Admin, Config
from proxy.config_file.source import Source
from proxy.server.heartbeat import ParentLink
from proxy.server.reload import Reloader
from proxy.snapshot import Reloaded

_log = logging.getLogger("anyrouter")
_SHUTDOWN_S = 2.0
_NICENESS = 10


async def serve(source: Source, config: Config, parent: ParentLink, states: Sequence[str]) -> None:
    """Serve until SIGTERM, or the parent's end.

    Args:
        source: of `config`, read again when the parent says so.
        config: with `admin`.
        parent: of this process.
        states: the paths of the workers' sockets.

    Raises:
        OSError: the address cannot be bound.
        ValueError: the configuration has no `admin`.
    """
    admin = config.admin
    if admin is None:
        raise ValueError("the configuration has no admin section")
    # Requests go first: where all cores are busy, this process has a tenth of what a worker has.
    with contextlib.suppress(OSError):  # where that is forbidden, it takes as much as they do
        os.nice(_NICENESS)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = create_app(config, SocketWorkers(states), open_metrics=is_for_this_machine(admin))
    runner = runner_of(app, _SHUTDOWN_S)

    async def take_over(config: Config) -> Reloaded:
        return app[CONTEXT].take_over(config)

    reloader = Reloader(source, take_over, None)
    await runner.setup()
    try:
        await web.TCPSite(runner, admin.host, admin.port).start()
        host, port = runner.addresses[0][:2]
        _log.info(
            "the admin API listens on http://%s:%d/admin/v1; pages: %s",
            host,
            port,
            _pages(host, port),
        )
        parent.follow(stop.set, stop.set, reloader.ask)
        reloading = asyncio.create_task(reloader.run())
        await stop.wait()
        reloading.cancel()
    finally:
        await runner.cleanup()


def is_for_this_machine(admin: Admin) -> bool:
    """Return whether only programs of this machine reach the listener, and none passes others' requests on."""
    if admin.behind_https or admin.hosts:
        return False
    try:
        return ipaddress.ip_address(admin.host).is_loopback
    except ValueError:
        return admin.host == "localhost"


def _pages(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
