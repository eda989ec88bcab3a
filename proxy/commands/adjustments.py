"""What the command line makes of a configuration, each time that it is read."""

import dataclasses
import ipaddress

from proxy.access import keys
from proxy.config import Config, Key, with_listen
from proxy.config_file.faults import ConfigError
from proxy.tenancy.tenancy import has_bounds

THIS_RUN = "this-run"


class Adjustments:
    """Makes of what the file says what is served, each time that it is read.

    Args:
        host, port, workers: of the command line; None: as the file says.

    Attributes:
        key: of this run, which counts while there is no other.
    """

    def __init__(self, host: str | None, port: int | None, workers: int | None) -> None:
        self._flags = {"host": host, "port": port, "workers": workers}
        self.key = keys.new_key()

    def __call__(self, config: Config) -> Config:
        """Adjust a configuration.

        Raises:
            ConfigError: it cannot be served so.
        """
        config = with_listen(config, **self._flags)
        refuse_strangers_without_keys(config)
        refuse_what_flags_break(config)
        if config.keys or config.store:
            return config
        return dataclasses.replace(config, keys=(Key(THIS_RUN, keys.digest(self.key)),))


def refuse_strangers_without_keys(config: Config) -> None:
    """Take no configuration without keys that serves other machines.

    Raises:
        ConfigError: it does, and their users do not read our stderr, where a key for the run would be.
    """
    if not (config.keys or config.store) and not all(map(_is_loopback, config.listen.hosts)):
        raise ConfigError(
            "keys: at least one is needed to serve other machines: `anyrouter keys new NAME --write FILE` adds one"
        )


def refuse_what_flags_break(config: Config) -> None:
    """Refuse what `check` would have refused of the file, had it said what the flags say.

    Raises:
        ConfigError: several workers would each count limits for itself, or two listeners have one port.
    """
    if config.listen.workers > 1 and config.redis is None and has_bounds(config):
        raise ConfigError(
            "--workers: with more than one, limits and budgets need `redis`: each would count for itself"
        )
    if config.admin is not None and config.admin.port == config.listen.port != 0:
        raise ConfigError("--port: the admin API has this port: admin.port")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
