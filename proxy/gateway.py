"""What one gateway is made of while it runs: a frozen snapshot of its configuration, and the live parts beside it."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from aiohttp import web

from proxy.body_memory import BodyMemory, default_bytes
from proxy.config import Config, Key, Upstream
from proxy.config_file.by_hand import check
from proxy.config_file.faults import ConfigError, NoCredentialError
from proxy.deadlines import Deadlines
from proxy.exchange import Exchange
from proxy.money import price_file
from proxy.money.price_rows import PriceError
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.protocol.headers import RequestHeaders
from proxy.snapshot import Reloaded, Snapshot, successor
from proxy.telemetry.counting import Counting
from proxy.tenancy.alone import doubt_of_limits
from proxy.tenancy.tenancy import Tenancy, is_wanted
from proxy.turns import Turns
from proxy.upstreams import marks
from proxy.upstreams.connections import UpstreamConnections, UpstreamTemplate
from proxy.upstreams.credentials import Credentials
from proxy.upstreams.model_lists import ModelLists
from proxy.upstreams.standing import Standing
from proxy.upstreams.token_command import TokenError

_log = logging.getLogger(__name__)


# Given a request; returns who it is, or None, and then the key counts that the request carries.
Authenticate = Callable[[web.Request], Awaitable[Key | None]]


class Observer(Protocol):
    """Is told of every request once, when it has ended."""

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange, which does not change any more."""


class Connected(NamedTuple):
    """How many connections of clients are open, and how many were refused."""

    open: int
    refused: int


class Gateway:
    """The parts that requests share.

    Attributes:
        snapshot: what the configuration says now.
        connections: to the upstreams.
        credentials: for them, as far as commands print them.
        deadlines: the clock over the requests in flight.
        standing: what was learned of the upstreams.
        model_lists: what the upstreams of wildcards list.
        leaving: whether the process is about to end, and still serves.
        draining: set when the process is about to end: no new request is taken.
        is_hosted: whether the server is not ours: it may undo Content-Encoding, as aiohttp does by default, and does
            not tell when a client leaves.
        has_admin: whether an admin API was made for it here.
        authenticate: finds whose request it is by the host's own means, before keys are looked at; None: by keys alone.
        body_memory: the budget of the bodies in flight.
        turns: of the event loop, of which the checking of bodies takes a part.
        tenancy: limits, prices, ledger and managed keys; None: none is configured.
        on_reload: called with each configuration that has replaced another. `reloads`: how many have.
        counting: counts requests; None: nobody will ask.
        connected: tells of the connections; None: the server is not ours.
    """

    def __init__(
        self,
        config: Config,
        observers: tuple[Observer, ...],
        authenticate: Authenticate | None = None,
    ) -> None:
        self.snapshot = Snapshot.of(config)
        self.connections = UpstreamConnections(config.timeouts, self._renew)
        self.credentials = Credentials(
            lambda name, token: self.snapshot.upstreams[name].present(token)
        )
        self.deadlines = Deadlines(
            config.timeouts, config.limits.min_body_bytes_per_s, config.quota.queue_s
        )
        self.standing = Standing()
        self.model_lists = ModelLists(
            _of_wildcards(config), config.pools, lambda: self.credentials.tokens
        )
        self.leaving = False
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
        self.reloads = 0
        self.counting: Counting | None = None
        self.connected: Callable[[], Connected] | None = None
        self.lost_lines: Callable[[], int] | None = None
        # Billed first, so that the access line can tell the cost.
        billed = observers if self.tenancy is None else (self.tenancy, *observers)
        self._observers: tuple[Observer, ...] = (marks.Marks(self.standing), *billed)

    def begin_counting(self) -> None:
        """Count the requests that end from now on, since somebody will ask for that."""
        if self.counting is None:
            self.counting = counting = Counting()
            self.on_reload.append(lambda _: counting.forget())
            self._observers = (*self._observers, counting)

    async def open(self) -> None:
        """Begin to serve, in the event loop that does: run the commands that print credentials.

        Raises:
            RuntimeError: there is no credential for an upstream.
        """
        config = self.snapshot.config
        try:
            new = await self.credentials.prepare(config.upstreams)
        except TokenError as error:
            raise RuntimeError(str(error)) from None
        for name, held in new.items():
            self.snapshot.upstreams[name].present(held.token)
        self.credentials.follow(config.upstreams, new)

    async def reload(self, config: Config) -> Reloaded:
        """Serve the requests that begin from now on by another configuration; those in flight keep theirs.

        Call it in the event loop that serves. What is made once, at the start, stays as it is until a restart.

        Returns:
            What has changed, and what wants a restart.

        Raises:
            ConfigError: the configuration is wrong, as for `create_app`; the old one goes on.
        """
        check(config)
        return await self.take_over(config)

    async def take_over(self, config: Config) -> Reloaded:
        """Serve by a configuration that was checked; otherwise as `reload`."""
        try:
            new = await self.credentials.prepare(config.upstreams)
        except TokenError as error:
            raise NoCredentialError(str(error)) from None
        before, tenancy = self.snapshot, self.tenancy
        tokens = {**self.credentials.tokens, **{name: held.token for name, held in new.items()}}
        snapshot = successor(before, config, is_limited=tenancy is not None, tokens=tokens)
        config, wanted = snapshot.config, config
        try:
            prices = None if tenancy is None else price_file.configured(config.prices)
        except PriceError as error:
            raise ConfigError(f"prices: {error}") from None
        # Nothing below can fail: it is all of the new configuration, or nothing.
        if tenancy is not None and prices is not None:
            tenancy.change(config, prices)
        self.snapshot = snapshot
        self.credentials.follow(config.upstreams, new)
        self.connections.change(config.timeouts)
        self.deadlines.change(
            config.timeouts, config.limits.min_body_bytes_per_s, config.quota.queue_s
        )
        self.standing.follow(before.config, config, time.monotonic())
        self.model_lists.change(_of_wildcards(config), config.pools)
        self.body_memory.resize(_body_memory_bytes(config))
        self.reloads += 1
        for tell in self.on_reload:
            tell(config)
        return Reloaded.of(before.config, config, wanted)

    async def host_key(self, request: web.Request) -> Key | None:
        """Return whose request it is by the host's own means; None: the key counts that the request carries."""
        key = None if self.authenticate is None else await self.authenticate(request)
        if self._doubt is not None and key is not None and (key.limits or key.budgets):
            _log.warning(self._doubt, extra=notice(Event.CONFIG_DOUBTED))
            self._doubt = None
        return key

    async def _renew(
        self, refused: UpstreamTemplate, presented: RequestHeaders
    ) -> RequestHeaders | None:
        """Return headers with another credential than the one that an upstream has refused; None: there is none."""
        if (newer := self._other(refused, presented)) is None:
            await self.credentials.refused(refused.upstream)
            newer = self._other(refused, presented)
        return newer

    def _other(self, refused: UpstreamTemplate, presented: RequestHeaders) -> RequestHeaders | None:
        now = self.snapshot.upstreams.get(refused.name)
        if now is None or now.upstream.base_url != refused.upstream.base_url:
            return None
        return None if now.headers.ours == presented.ours else now.headers

    def ended(self, exchange: Exchange) -> None:
        """Tell every observer that a request has ended; none suffers from another's defect."""
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
    # Vertex lists models of its own kind, under another path.
    return [each for each in config.upstreams if each.name in named and each.dialect == "messages"]


GATEWAY = web.AppKey("gateway", Gateway)
