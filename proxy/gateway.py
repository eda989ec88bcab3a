"""What one gateway is made of while it runs: a frozen snapshot of its configuration, and the live parts beside it."""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from proxy.access.client_address import TrustedProxies
from proxy.access.keys import KeyRing
from proxy.body_memory import BodyMemory, default_bytes
from proxy.config import Config, Key, Upstream
from proxy.deadlines import Deadlines
from proxy.exchange import Exchange
from proxy.routing.router import Router
from proxy.tenancy.tenancy import Tenancy, is_wanted
from proxy.turns import Turns
from proxy.upstreams.connections import UpstreamConnections, UpstreamTemplate
from proxy.upstreams.model_lists import ModelLists

_log = logging.getLogger(__name__)


# Given a request; returns who it is, or None, and then the key counts that the request carries.
Authenticate = Callable[[web.Request], Awaitable[Key | None]]


class Observer(Protocol):
    """Is told of every request once, when it has ended."""

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange, which does not change any more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything made from one configuration. A request takes it once, and keeps it to its end."""

    config: Config
    router: Router
    key_ring: KeyRing
    trusted_proxies: TrustedProxies | None
    upstreams: Mapping[str, UpstreamTemplate]

    @classmethod
    def of(cls, config: Config) -> "Snapshot":
        """Make a snapshot.

        Raises:
            ValueError: a header of an upstream cannot be sent, or a trusted proxy is no network.
        """
        return cls(
            config=config,
            router=Router(config.models),
            key_ring=KeyRing(config.keys),
            trusted_proxies=TrustedProxies(config.trusted_proxies)
            if config.trusted_proxies
            else None,
            upstreams={each.name: UpstreamTemplate(each) for each in config.upstreams},
        )


class Gateway:
    """The parts that requests share.

    Attributes:
        snapshot: what the configuration says now.
        connections: to the upstreams.
        deadlines: the clock over the requests in flight.
        model_lists: what the upstreams of wildcards list.
        draining: set when the process is about to end: no new request is taken.
        is_hosted: whether the server is not ours: it may undo Content-Encoding, as aiohttp does by default, and does
            not tell when a client leaves.
        authenticate: finds whose request it is by the host's own means, before keys are looked at; None: by keys alone.
        body_memory: the budget of the bodies in flight.
        turns: of the event loop, of which the checking of bodies takes a part.
        tenancy: limits, prices, ledger and managed keys; None: none is configured.
    """

    def __init__(self, config: Config, observers: tuple[Observer, ...]) -> None:
        self.snapshot = Snapshot.of(config)
        self.connections = UpstreamConnections(config.timeouts)
        self.deadlines = Deadlines(
            config.timeouts, config.limits.min_body_bytes_per_s, config.quota.queue_s
        )
        self.model_lists = ModelLists(_of_wildcards(config))
        self.draining = False
        self.is_hosted = True
        self.authenticate: Authenticate | None = None
        budget = config.limits.body_memory_bytes or default_bytes()
        self.body_memory = BodyMemory(budget // config.listen.workers)
        self.turns = Turns()
        self.tenancy = Tenancy(config, self.deadlines.in_flight) if is_wanted(config) else None
        # Billed first, so that the access line can tell the cost.
        self._observers = observers if self.tenancy is None else (self.tenancy, *observers)

    def ended(self, exchange: Exchange) -> None:
        """Tell every observer that a request has ended; none suffers from another's defect."""
        for observer in self._observers:
            try:
                observer.ended(exchange)
            except Exception:  # noqa: BLE001 - logged with its traceback; the request and the others go on
                _log.exception("%s: a defect of an observer", exchange.received.id)


def _of_wildcards(config: Config) -> list[Upstream]:
    named = {model.upstream for model in config.models if model.id.endswith("*")}
    return [upstream for upstream in config.upstreams if upstream.name in named]


GATEWAY = web.AppKey("gateway", Gateway)
