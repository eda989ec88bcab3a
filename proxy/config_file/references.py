"""What a schema cannot check: names that refer to something, ids that must be alone."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from proxy.config import Config
from proxy.config_file.document import ConfigError
from proxy.routing.model_ids import canonical_pattern
from proxy.routing.router import Router


def check(config: Config) -> None:
    """Check a configuration.

    Raises:
        ConfigError: with the path of the first field that is wrong.
    """
    upstreams = {upstream.name for upstream in config.upstreams}
    for upstream in config.upstreams:
        try:
            usable = urlsplit(upstream.base_url).port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(f"upstreams.{upstream.name}.base_url: no valid host and port")
        if upstream.auth.scheme == "none" and upstream.auth.key is not None:
            raise ConfigError(f"upstreams.{upstream.name}.auth.key: not used with scheme none")
    for index, model in enumerate(config.models):
        if model.upstream not in upstreams:
            raise ConfigError(
                f"models.{index}.upstream: no upstream named {model.upstream}; "
                f"known: {', '.join(sorted(upstreams))}"
            )
        if model.aliases and model.id.endswith("*"):
            raise ConfigError(f"models.{index}.aliases: a wildcard entry can have none")
    ids = [(f"models.{i}.id", model.id) for i, model in enumerate(config.models)] + [
        (f"models.{i}.aliases.{j}", alias)
        for i, model in enumerate(config.models)
        for j, alias in enumerate(model.aliases)
    ]
    _refuse_doubles(ids, canonical_pattern)
    _refuse_doubles([(f"keys.{i}.name", key.name) for i, key in enumerate(config.keys)], str)
    digests = [(f"keys.{i}", key.sha256) for i, key in enumerate(config.keys)]
    _refuse_doubles(digests, str, shown="the same key")
    _check_key_models(config)


def _check_key_models(config: Config) -> None:
    """Refuse what a key's models name in vain: the key would be refused, and nobody would know why."""
    router = Router(config.models)
    for i, key in enumerate(config.keys):
        for j, pattern in enumerate(key.models):
            if not router.can_match(pattern):
                raise ConfigError(f"keys.{i}.models.{j}: nothing in models matches {pattern}")


def _refuse_doubles(
    named: Sequence[tuple[str, str]], same: Callable[[str], str], shown: str | None = None
) -> None:
    first: dict[str, str] = {}
    for place, name in named:
        earlier = first.setdefault(same(name), place)
        if earlier != place:
            raise ConfigError(f"{place}: {shown or name} is already at {earlier}")
