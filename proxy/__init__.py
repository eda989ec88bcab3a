"""An Anthropic Messages gateway on aiohttp: as a command, as an application, or as a part of yours."""

from proxy import version
from proxy.app import RUNNER_OPTIONS, create_app, setup
from proxy.config import (
    Admin,
    AdminKey,
    Auth,
    Budgets,
    Config,
    Cors,
    Key,
    Limits,
    Listen,
    Log,
    Model,
    Owner,
    Prices,
    Quota,
    RateLimits,
    Redis,
    Reload,
    Store,
    Timeouts,
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
    "Auth",
    "Budgets",
    "Config",
    "ConfigError",
    "Cors",
    "Gateway",
    "Key",
    "Limits",
    "Listen",
    "Log",
    "Model",
    "Owner",
    "Prices",
    "Quota",
    "RateLimits",
    "Redis",
    "Reload",
    "Store",
    "Timeouts",
    "Upstream",
    "create_app",
    "load_config",
    "setup",
]
__version__ = version.__version__
