"""The configuration as the program sees it: frozen, complete, checked. Pure.

`proxy.config_file` reads it from YAML; an embedding application may build it itself. Defaults are those of
`schemas/config.schema.json`, which a test compares.
"""

import dataclasses
from typing import Any

from proxy.config.serving import (
    Auth,
    Certificate,
    Cors,
    Drop,
    Key,
    Limits,
    Listen,
    Log,
    Member,
    Model,
    Pool,
    Reload,
    Timeouts,
    Tls,
    Upstream,
)
from proxy.config.telling import Alerts, Otel, Receiver
from proxy.config.tenancy import (
    Admin,
    AdminKey,
    Budgets,
    Owner,
    Prices,
    Quota,
    RateLimits,
    Redis,
    Store,
)

__all__ = [
    "Admin",
    "AdminKey",
    "Alerts",
    "Auth",
    "Budgets",
    "Certificate",
    "Config",
    "Cors",
    "Drop",
    "Key",
    "Limits",
    "Listen",
    "Log",
    "Member",
    "Model",
    "Otel",
    "Owner",
    "Pool",
    "Prices",
    "Quota",
    "RateLimits",
    "Receiver",
    "Redis",
    "Reload",
    "Store",
    "Timeouts",
    "Tls",
    "Upstream",
    "with_listen",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration.

    Attributes:
        anthropic_versions: those accepted; None: any date.
        store: of ledger and managed keys; None: neither is kept.
        redis: of limits and budgets; None: they are counted in this process.
        admin: None: there is no admin API.
        otel: None: there are no traces.
    """

    upstreams: tuple[Upstream, ...]
    models: tuple[Model, ...]
    keys: tuple[Key, ...] = ()
    listen: Listen = Listen()
    trusted_proxies: tuple[str, ...] = ()
    anthropic_versions: frozenset[str] | None = None
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    echo_model: bool = True
    early_head: bool = False
    cors: Cors = Cors()
    log: Log = Log()
    reload: Reload = Reload()
    store: Store | None = None
    redis: Redis | None = None
    quota: Quota = Quota()
    owners: tuple[Owner, ...] = ()
    prices: Prices = Prices()
    admin: Admin | None = None
    pools: tuple[Pool, ...] = ()
    alerts: Alerts = Alerts()
    otel: Otel | None = None


def with_listen(config: Config, **changes: Any) -> Config:
    """Return the configuration with those of `listen`'s fields replaced that are not None."""
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(config, listen=dataclasses.replace(config.listen, **given))
