"""What one gateway is made of while it runs: a frozen snapshot of its configuration, and the live parts beside it."""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from aiohttp import web

from proxy.access.client_address import TrustedProxies
from proxy.access.keys import KeyRing
from proxy.body_memory import BodyMemory, default_bytes
from proxy.config import Config, Key, Upstream
from proxy.config_file import changes
from proxy.config_file.by_hand import check
from proxy.config_file.faults import ConfigError
from proxy.deadlines import Deadlines
from proxy.exchange import Exchange
from proxy.money import price_file
from proxy.money.price_rows import PriceError
from proxy.routing.router import Router
from proxy.tenancy.alone import doubt_of_limits
from proxy.tenancy.tenancy import Tenancy, is_wanted
from proxy.turns import Turns
from proxy.upstreams import marks
from proxy.upstreams.connections import UpstreamConnections, UpstreamTemplate
from proxy.upstreams.model_lists import ModelLists
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.proxies import ProxyUnusableError
from proxy.upstreams.standing import Standing

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
    pools: Mapping[str, PoolOrder]

    @classmethod
    def of(cls, config: Config, before: "Snapshot | None" = None) -> "Snapshot":
        """Make a snapshot.

        Args:
            config: that was checked.
            before: what it is to replace, of which is kept what has not changed.

        Raises:
            ValueError: a header of an upstream cannot be sent, or a trusted proxy is no network.
            ProxyUnusableError: the environment names a proxy for an upstream that is no HTTP proxy.
        """
        known = {} if before is None else before.upstreams
        base_urls = {each.name: each.base_url for each in config.upstreams}
        return cls(
            config=config,
            router=before.router
            if before is not None and _routes_alike(before.config, config)
            else Router(config.models, config.upstreams, config.pools),
            key_ring=KeyRing(config.keys),
            trusted_proxies=TrustedProxies(config.trusted_proxies)
            if config.trusted_proxies
            else None,
            upstreams={
                each.name: kept
                if (kept := known.get(each.name)) is not None and kept.upstream == each
                else UpstreamTemplate(each)
                for each in config.upstreams
            },
            pools={pool.name: PoolOrder(pool, base_urls) for pool in config.pools},
        )


def _routes_alike(before: Config, config: Config) -> bool:
    """Return whether two configurations lead every model to the same upstreams, under the same ids."""
    ids = [[(each.name, each.model_ids) for each in one.upstreams] for one in (before, config)]
    same_ids = ids[0] == ids[1]
    return same_ids and (before.models, before.pools) == (config.models, config.pools)


class Reloaded(NamedTuple):
    """What another configuration has brought: what has changed, and what counts from the next start on."""

    changes: list[str]
    after_restart: list[str]

    @classmethod
    def of(cls, before: Config, now: Config, wanted: Config) -> "Reloaded":
        """Compare what was served, what is served now, and what was asked for."""
        return cls(changes.between(before, now), changes.between(now, wanted))


def successor(before: Snapshot, config: Config, *, is_limited: bool) -> Snapshot:
    """Return what replaces a snapshot when another configuration is to count.

    Args:
        before: what a running gateway serves by.
        config: that was checked. Of what is made once, at the start, the running one counts.
        is_limited: whether the gateway was started with limits, prices or a ledger.

    Raises:
        ConfigError: it cannot count in a gateway that runs.
    """
    config = changes.without_restart(before.config, config)
    if is_wanted(config) and not is_limited:
        raise ConfigError(
            "limits, budgets and prices need a restart: the gateway was started without any"
        )
    try:
        return Snapshot.of(config, before)
    except (ValueError, ProxyUnusableError) as error:
        raise ConfigError(f"upstreams: {error}") from None


class Gateway:
    """The parts that requests share.

    Attributes:
        snapshot: what the configuration says now.
        connections: to the upstreams.
        deadlines: the clock over the requests in flight.
        standing: what was learned of the upstreams.
        model_lists: what the upstreams of wildcards list.
        draining: set when the process is about to end: no new request is taken.
        is_hosted: whether the server is not ours: it may undo Content-Encoding, as aiohttp does by default, and does
            not tell when a client leaves.
        has_admin: whether an admin API was made for it here.
        authenticate: finds whose request it is by the host's own means, before keys are looked at; None: by keys alone.
        body_memory: the budget of the bodies in flight.
        turns: of the event loop, of which the checking of bodies takes a part.
        tenancy: limits, prices, ledger and managed keys; None: none is configured.
        on_reload: called with each configuration that has replaced another.
    """

    def __init__(
        self,
        config: Config,
        observers: tuple[Observer, ...],
        authenticate: Authenticate | None = None,
    ) -> None:
        self.snapshot = Snapshot.of(config)
        self.connections = UpstreamConnections(config.timeouts)
        self.deadlines = Deadlines(
            config.timeouts, config.limits.min_body_bytes_per_s, config.quota.queue_s
        )
        self.standing = Standing()
        self.model_lists = ModelLists(_of_wildcards(config), config.pools)
        self.draining = False
        self.is_hosted = True
        self.has_admin = False
        self.authenticate = authenticate
        self._doubt = doubt_of_limits(config)
        self.body_memory = BodyMemory(_body_memory_bytes(config))
        self.turns = Turns()
        # The host's users may have limits that no configuration tells of.
        is_limited = is_wanted(config) or authenticate is not None
        self.tenancy = Tenancy(config, self.deadlines.in_flight) if is_limited else None
        self.on_reload: list[Callable[[Config], None]] = []
        # Billed first, so that the access line can tell the cost.
        self._observers = observers if self.tenancy is None else (self.tenancy, *observers)

    def reload(self, config: Config) -> Reloaded:
        """Serve the requests that begin from now on by another configuration; those in flight keep theirs.

        Call it in the event loop that serves. What is made once, at the start, stays as it is until a restart.

        Returns:
            What has changed, and what wants a restart.

        Raises:
            ConfigError: the configuration is wrong, as for `create_app`; the old one goes on.
        """
        check(config)
        return self.take_over(config)

    def take_over(self, config: Config) -> Reloaded:
        """Serve by a configuration that was checked; otherwise as `reload`."""
        before = self.snapshot
        tenancy = self.tenancy
        snapshot = successor(before, config, is_limited=tenancy is not None)
        config, wanted = snapshot.config, config
        try:
            prices = None if tenancy is None else price_file.configured(config.prices)
        except PriceError as error:
            raise ConfigError(f"prices: {error}") from None
        # Nothing below can fail: it is all of the new configuration, or nothing.
        if tenancy is not None and prices is not None:
            tenancy.change(config, prices)
        self.snapshot = snapshot
        self.connections.change(config.timeouts)
        self.deadlines.change(
            config.timeouts, config.limits.min_body_bytes_per_s, config.quota.queue_s
        )
        self.standing.follow(before.config, config)
        self.model_lists.change(_of_wildcards(config), config.pools)
        self.body_memory.resize(_body_memory_bytes(config))
        for tell in self.on_reload:
            tell(config)
        return Reloaded.of(before.config, config, wanted)

    async def host_key(self, request: web.Request) -> Key | None:
        """Return whose request it is by the host's own means; None: the key counts that the request carries."""
        key = None if self.authenticate is None else await self.authenticate(request)
        if self._doubt is not None and key is not None and (key.limits or key.budgets):
            _log.warning(self._doubt)
            self._doubt = None
        return key

    def ended(self, exchange: Exchange) -> None:
        """Tell every observer that a request has ended; none suffers from another's defect."""
        if exchange.pooled is not None:
            marks.ended(self.standing, exchange)
        for observer in self._observers:
            try:
                observer.ended(exchange)
            except Exception:  # noqa: BLE001 - logged with its traceback; the request and the others go on
                _log.exception("%s: a defect of an observer", exchange.received.id)


def _body_memory_bytes(config: Config) -> int:
    """Return how much the bodies of one process may take."""
    return (config.limits.body_memory_bytes or default_bytes()) // config.listen.workers


def _of_wildcards(config: Config) -> list[Upstream]:
    named = {model.upstream for model in config.models if model.id.endswith("*")}
    for pool in config.pools:
        if pool.name in named:
            named.update(member.upstream for member in pool.members)
    return [upstream for upstream in config.upstreams if upstream.name in named]


GATEWAY = web.AppKey("gateway", Gateway)
