"""Read `config.yaml` into a `Config`, or say in one line what is wrong with it."""

import datetime
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from proxy import schema_files
from proxy.config import Auth, Config, Key, Limits, Listen, Log, Model, Timeouts, Upstream
from proxy.keys import digest
from proxy.routing import canonical

_REFERENCE = re.compile(r"\$\{(file:)?([^}]*)\}")
_HOLD_SECRETS = {"keys", "upstreams"}


class ConfigError(Exception):
    """The configuration cannot be used; the text is `path.of.the.field: what is wrong`."""


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice, of which one would silently be lost."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
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
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{os.fspath(path)}: {reason}") from None
    return parse_config(text, environ)


def parse_config(text: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration from YAML text; as `load_config`."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        raise ConfigError(f"{place}: not YAML: {getattr(error, 'problem', error)}") from None
    return config_from(document, environ)


def config_from(document: Any, environ: Mapping[str, str] = os.environ) -> Config:
    """Check a decoded configuration document, fill in references and defaults.

    Raises:
        ConfigError: with the path of the first field that is wrong.
    """
    document = _expand(document, (), environ)
    schema = schema_files.load("config")
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    if (error := jsonschema.exceptions.best_match(errors)) is not None:
        raise ConfigError(_worded(error))
    config = _build(document)
    _check_references(config)
    return config


def check_key_name(name: str) -> None:
    """Check the name of a key that is to be configured.

    Raises:
        ConfigError: it cannot stand in a configuration.
    """
    rule = schema_files.load("config")["properties"]["keys"]["items"]["properties"]["name"]
    if not jsonschema.Draft202012Validator(rule).is_valid(name):
        raise ConfigError(f"must satisfy pattern {rule['pattern']}")


def _expand(value: Any, path: tuple[str | int, ...], environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, (*path, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, (*path, index), environ) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def referred(match: re.Match[str]) -> str:
        is_file, name = match.groups()
        if not is_file:
            if name not in environ:
                raise ConfigError(f"{_dotted(path)}: environment variable {name} is not set")
            return environ[name]
        try:
            return Path(name).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"{_dotted(path)}: {name}: {reason}") from None

    return _REFERENCE.sub(referred, value)


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "file"


def _worded(error: jsonschema.ValidationError) -> str:
    """Word a schema error; without the value where that may be a secret."""
    place = _dotted(error.absolute_path)
    rule, expected = str(error.validator), error.validator_value
    if rule == "additionalProperties":
        rules: Any = error.schema
        instance: Any = error.instance
        known = rules.get("properties", {})
        unknown = next(str(name) for name in instance if name not in known)
        path = _dotted([*error.absolute_path, unknown])
        return f"{path}: unknown key; known here: {', '.join(known)}"
    if rule == "oneOf":
        return f"{place}: needs either sha256 or key"
    if error.absolute_path and error.absolute_path[0] in _HOLD_SECRETS and rule != "required":
        return f"{place}: must satisfy {rule} {expected}"
    return f"{place}: {error.message}"


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
        except ValueError as error:
            raise ConfigError(f"keys.{index}.expires_at: {error}") from None
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
        if upstream.auth.scheme == "none" and upstream.auth.key is not None:
            raise ConfigError(f"upstreams.{upstream.name}.auth.key: not used with scheme none")
    for index, model in enumerate(config.models):
        if model.upstream not in upstreams:
            raise ConfigError(
                f"models.{index}.upstream: no upstream named {model.upstream}; "
                f"known: {', '.join(sorted(upstreams))}"
            )
    ids = [(f"models.{i}.id", model.id) for i, model in enumerate(config.models)] + [
        (f"models.{i}.aliases.{j}", alias)
        for i, model in enumerate(config.models)
        for j, alias in enumerate(model.aliases)
    ]
    _refuse_doubles(ids, canonical)
    _refuse_doubles([(f"keys.{i}.name", key.name) for i, key in enumerate(config.keys)], str)
    digests = [(f"keys.{i}", key.sha256) for i, key in enumerate(config.keys)]
    _refuse_doubles(digests, str, shown="the same key")


def _refuse_doubles(
    named: Sequence[tuple[str, str]], same: Callable[[str], str], shown: str | None = None
) -> None:
    first: dict[str, str] = {}
    for place, name in named:
        earlier = first.setdefault(same(name), place)
        if earlier != place:
            raise ConfigError(f"{place}: {shown or name} is already at {earlier}")
