"""An Anthropic Messages gateway on aiohttp: as a command, as an application, or as a part of yours."""

from aiohttp import web

from proxy import version
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


def create_admin_app(gateway: Gateway) -> web.Application:
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
