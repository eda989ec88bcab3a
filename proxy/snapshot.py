"""Everything made from one configuration, and what another configuration makes of it."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.access.client_address import TrustedProxies
from proxy.access.keys import KeyRing
from proxy.config import Config
from proxy.config_file import changes
from proxy.config_file.faults import ConfigError
from proxy.routing.router import Router
from proxy.tenancy.tenancy import is_wanted
from proxy.upstreams.connections import UpstreamTemplate
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.proxies import ProxyUnusableError

# What waits for a restart only where there is nothing to count it.
_OF_LIMITS = ("keys", "owners", "quota", "prices")
_LIMITS_WAIT = (
    "this gateway was started without limits, prices and a store, so nothing is limited or priced until it is started "
    "again, and a key that is new and limited opens nothing"
)


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
    def of(
        cls,
        config: Config,
        before: "Snapshot | None" = None,
        tokens: Mapping[str, str] = MappingProxyType({}),
    ) -> "Snapshot":
        """Make a snapshot.

        Args:
            config: that was checked.
            before: what it is to replace, of which is kept what has not changed.
            tokens: that commands have printed, by upstream.

        Raises:
            ValueError: a header of an upstream cannot be sent, or a trusted proxy is no network.
            ProxyUnusableError: the environment names a proxy for an upstream that is no HTTP proxy.
        """
        known = {} if before is None else before.upstreams
        traced = () if config.otel is None else config.otel.propagate
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
                if (kept := known.get(each.name)) is not None and kept.is_of(each)
                else UpstreamTemplate(
                    each, token=tokens.get(each.name), is_traced=each.name in traced
                )
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

    @property
    def why_it_waits(self) -> str:
        """What to write behind what waits: the reason, where it is not in the thing itself."""
        of_limits = any(each.startswith(_OF_LIMITS) for each in self.after_restart)
        return f"; {_LIMITS_WAIT}" if of_limits else ""

    @classmethod
    def of(cls, before: Config, now: Config, wanted: Config) -> "Reloaded":
        """Compare what was served, what is served now, and what was asked for."""
        return cls(changes.between(before, now), changes.between(now, wanted))


def successor(
    before: Snapshot,
    config: Config,
    *,
    is_limited: bool,
    tokens: Mapping[str, str] = MappingProxyType({}),
) -> Snapshot:
    """Return what replaces a snapshot when another configuration is to count.

    Args:
        before: what a running gateway serves by.
        config: that was checked. Of what is made once, at the start, the running one counts; of limits and prices, too,
            where there was nothing to count them.
        is_limited: whether the gateway was started with limits, prices or a ledger.
        tokens: that commands have printed, by upstream.

    Raises:
        ConfigError: it cannot count in a gateway that runs.
    """
    config = changes.without_restart(before.config, config)
    if is_wanted(config) and not is_limited:
        config = changes.without_limits(before.config, config)
    try:
        return Snapshot.of(config, before, tokens)
    except (OSError, ValueError, ProxyUnusableError) as error:
        raise ConfigError(f"upstreams: {error}") from None
