"""An Anthropic Messages gateway on aiohttp: as a command, as an application, or as a part of yours."""

import importlib
from typing import TYPE_CHECKING

from proxy import version

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.app import RUNNER_OPTIONS, create_app, setup
    from proxy.config import (
        Admin,
        AdminKey,
        Alerts,
        Auth,
        Budgets,
        Certificate,
        Config,
        Cors,
        Drop,
        Key,
        Limits,
        Listen,
        Log,
        Member,
        Model,
        Otel,
        Owner,
        Pool,
        Prices,
        Quota,
        RateLimits,
        Receiver,
        Redis,
        Reload,
        Store,
        Timeouts,
        Tls,
        Upstream,
    )
    from proxy.config_file.faults import ConfigError
    from proxy.config_file.load import load_config
    from proxy.gateway import Gateway
    from proxy.relay.head import FROM_GATEWAY
else:
    # Each is imported when it is first asked for: a command that needs none of it starts without it.
    _HOMES = {
        "ConfigError": "proxy.config_file.faults",
        "FROM_GATEWAY": "proxy.relay.head",
        "Gateway": "proxy.gateway",
        "RUNNER_OPTIONS": "proxy.app",
        "create_app": "proxy.app",
        "load_config": "proxy.config_file.load",
        "setup": "proxy.app",
    }

    def __getattr__(name: str) -> object:
        """Import what is public here; PEP 562."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES.get(name, "proxy.config")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "FROM_GATEWAY",
    "RUNNER_OPTIONS",
    "Admin",
    "AdminKey",
    "Alerts",
    "Auth",
    "Budgets",
    "Certificate",
    "Config",
    "ConfigError",
    "Cors",
    "Drop",
    "Gateway",
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
    "create_admin_app",
    "create_app",
    "load_config",
    "setup",
]
__version__ = version.__version__


def create_admin_app(gateway: "Gateway") -> "web.Application":
    """Make an application of the admin API of a gateway that `setup` has mounted, for the same event loop.

    It has its paths, `/admin/v1/...`, and its credentials, `admin.keys`; where it is served is yours to say: on a port
    of its own, which is better, or below a path of your application, with `add_subapp`. Limits and the ledger's
    state are those of this process.

    Args:
        gateway: not started yet; its configuration has `admin`.

    Raises:
        ValueError: it has none.
    """
    from proxy.admin.app import create_app_for  # noqa: PLC0415 - without it, none of it is imported

    return create_app_for(gateway)
