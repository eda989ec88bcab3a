"""What one gateway is made of while it runs: catalog, keys, pool, watch and log, made from one `Config`."""

import asyncio

from aiohttp import web

from proxy.access.keys import KeyRing
from proxy.config import Config
from proxy.deadlines import Watch
from proxy.routing.router import Router
from proxy.telemetry.access_log import AccessLog
from proxy.upstreams.connections import UpstreamPool


class Gateway:
    """The parts that requests share.

    Attributes:
        config: as given.
        router, key_ring, pool, watch, access_log: made from it.
        draining: set when the process is about to end: no new request is taken.
        decoding: held while a large body is checked, so that each turn of the loop checks one.
    """

    def __init__(self, config: Config, access_log: AccessLog) -> None:
        self.config = config
        self.router = Router(config.models)
        self.key_ring = KeyRing(config.keys)
        self.pool = UpstreamPool(config)
        self.watch = Watch(config.timeouts)
        self.access_log = access_log
        self.draining = False
        self.decoding = asyncio.Lock()


GATEWAY = web.AppKey("gateway", Gateway)
