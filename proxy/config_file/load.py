"""Read `config.yaml` into a `Config`, or say in one line what is wrong with it."""

import datetime
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from proxy.access.keys import digest
from proxy.config import Auth, Config, Key, Limits, Listen, Log, Model, Timeouts, Upstream
from proxy.config_file import rules as config_rules
from proxy.config_file.rules import dotted
from proxy.routing.router import Router, canonical_pattern

_REFERENCE = re.compile(r"\$\{(file:)?([^}]*)\}")
_SCALARS = {"integer", "number", "boolean"}
_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class ConfigError(Exception):
    """The configuration cannot be used; the text is `path.of.the.field: what is wrong`, on one line."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice, of which one would silently be lost, and leaves dates as they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's name and type
        first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == _MERGE:
            continue
        key = loader.construct_object(key_node)
        if isinstance(key, str | int) and key in seen:
            raise ConfigError(f"{key}: written twice (line {key_node.start_mark.line + 1})")
        seen.add(key if isinstance(key, str | int) else None)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_config(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file.

    Args:
        path: of the YAML file.
        environ: what `${VARIABLE}` is looked up in.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    return parse_config(_read(path, os.fspath(path)), environ)


def parse_config(text: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration from YAML text; as `load_config`."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        raise ConfigError(f"{place}: not YAML: {getattr(error, 'problem', error)}") from None
    except ValueError as error:
        raise ConfigError(f"file: not YAML: {error}") from None
    except RecursionError:
        raise ConfigError("file: nested too deep") from None
    return config_from(document, environ)


def config_from(document: Any, environ: Mapping[str, str] = os.environ) -> Config:
    """Check a decoded configuration document, fill in references and defaults.

    Raises:
        ConfigError: with the path of the first field that is wrong.
    """
    document = _expand(document, (), environ)
    if (wrong := config_rules.first_fault(document)) is not None:
        raise ConfigError(wrong)
    config = _build(document)
    _check_references(config)
    return config


def check_key_name(name: str) -> None:
    """Check the name of a key that is to be configured.

    Raises:
        ConfigError: it cannot stand in a configuration.
    """
    if (wrong := config_rules.key_name_fault(name)) is not None:
        raise ConfigError(wrong)


def _read(path: str | os.PathLike[str], place: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{place}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: not UTF-8") from None
    except ValueError:
        raise ConfigError(f"{place}: not a file name") from None


def _expand(value: Any, path: tuple[str | int, ...], environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        if (odd := next((key for key in value if not isinstance(key, str)), "")) != "":
            raise ConfigError(f"{dotted((*path, str(odd)))}: a key must be text; put it in quotes")
        return {key: _expand(item, (*path, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, (*path, index), environ) for index, item in enumerate(value)]
    if isinstance(value, str):
        value = _expand_text(value, path, environ)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{dotted(path)}: must be a finite number")
    return value


def _expand_text(value: str, path: tuple[str | int, ...], environ: Mapping[str, str]) -> Any:
    def referred(match: re.Match[str]) -> str:
        is_file, name = match.groups()
        if not is_file:
            if name not in environ:
                raise ConfigError(f"{dotted(path)}: environment variable {name} is not set")
            return environ[name]
        return _read(name, f"{dotted(path)}: {name}").rstrip("\r\n")

    text = _REFERENCE.sub(referred, value)
    if _REFERENCE.fullmatch(value) is None or config_rules.kind_at(path) not in _SCALARS:
        return text
    try:
        scalar = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return scalar if isinstance(scalar, int | float) else text


def _build(document: Mapping[str, Any]) -> Config:
    versions = document.get("anthropic_versions", "any")
    return Config(
        upstreams=tuple(
            _build_upstream(name, entry) for name, entry in document["upstreams"].items()
        ),
        models=tuple(
            Model(**{**entry, "aliases": tuple(entry.get("aliases", ()))})
            for entry in document["models"]
        ),
        keys=tuple(
            _build_key(entry, index) for index, entry in enumerate(document.get("keys", ()))
        ),
        listen=Listen(**document.get("listen", {})),
        anthropic_versions=None if versions == "any" else frozenset(versions),
        limits=Limits(**document.get("limits", {})),
        timeouts=Timeouts(**document.get("timeouts", {})),
        echo_model=document.get("echo_model", True),
        log=Log(**document.get("log", {})),
    )


def _build_upstream(name: str, entry: Mapping[str, Any]) -> Upstream:
    return Upstream(
        name=name,
        base_url=entry["base_url"].rstrip("/"),
        auth=Auth(**entry.get("auth", {})),
        headers=tuple(entry.get("headers", {}).items()),
    )


def _build_key(entry: Mapping[str, Any], index: int) -> Key:
    expires_at = None
    if (text := entry.get("expires_at")) is not None:
        try:
            expires_at = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise ConfigError(f"keys.{index}.expires_at: no such time") from None
    return Key(
        name=entry["name"],
        sha256=entry.get("sha256") or digest(entry["key"]),
        models=tuple(entry.get("models", ("*",))),
        expires_at=expires_at,
    )


def _check_references(config: Config) -> None:
    """Check what a schema cannot: names that refer, ids that must be alone."""
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
