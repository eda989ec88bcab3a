"""The port, while the workers of a gateway drain."""

import asyncio
import dataclasses
import os
import signal
import socket
from collections.abc import Sequence

from proxy import Listen
from proxy.config import Config
from proxy.server.heartbeat import ParentLink
from proxy.server.workers import supervise
from tests.support.gateways import config_for


def leave_the_port(config: Config, parent: ParentLink, sockets: Sequence[socket.socket]) -> None:
    """Be a worker that listens no more once it is told to stop, and ends when nobody can connect."""

    async def drain() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        parent.follow(stop.set, stop.set, stop.set)
        await stop.wait()
        for each in sockets:
            each.close()
        async with asyncio.timeout(5):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", config.listen.port)
                except ConnectionRefusedError:
                    return
                writer.close()
                await asyncio.sleep(0.01)  # the parent's doing: there is no event to wait for

    asyncio.run(drain())


def test_while_workers_drain_nobody_waits_at_one_that_listens_no_more() -> None:
    listen = Listen(port=0, workers=1)
    config = dataclasses.replace(config_for("http://127.0.0.1:1"), listen=listen)
    assert not supervise(config, [leave_the_port], lambda _: os.kill(os.getpid(), signal.SIGTERM))
