"""Read `config.yaml` into a `Config`, or say in one line what is wrong with it."""

import dataclasses
import datetime
import os
from collections.abc import Mapping
from typing import Any

from proxy.access.keys import digest
from proxy.config import Auth, Config, Cors, Key, Limits, Listen, Log, Model, Timeouts, Upstream
from proxy.config_file import rules
from proxy.config_file.document import ConfigError, expand, parse, read_text
from proxy.config_file.references import check


def load_config(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file.

    Args:
        path: of the YAML file.
        environ: what `${VARIABLE}` is looked up in.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    return parse_config(read_text(path, os.fspath(path)), environ)


def parse_config(text: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration from YAML text; as `load_config`."""
    return config_from(parse(text), environ)


def config_from(document: Any, environ: Mapping[str, str] = os.environ) -> Config:
    """Check a decoded configuration document, fill in references and defaults.

    Raises:
        ConfigError: with the path of the first field that is wrong.
    """
    document = expand(document, (), environ)
    if (wrong := rules.first_fault(document)) is not None:
        raise ConfigError(wrong)
    config = _build(document)
    check(config)
    return config


def check_key_name(name: str) -> None:
    """Check the name of a key that is to be configured.

    Raises:
        ConfigError: it cannot stand in a configuration.
    """
    if (wrong := rules.key_name_fault(name)) is not None:
        raise ConfigError(wrong)


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
        listen=_build_listen(document.get("listen", {})),
        anthropic_versions=None if versions == "any" else frozenset(versions),
        limits=Limits(**document.get("limits", {})),
        timeouts=Timeouts(**document.get("timeouts", {})),
        echo_model=document.get("echo_model", True),
        cors=Cors(origins=tuple(document.get("cors", {}).get("origins", ()))),
        log=Log(**document.get("log", {})),
    )


def _build_listen(entry: Mapping[str, Any]) -> Listen:
    listen = Listen(**entry)
    if isinstance(listen.host, list):
        return dataclasses.replace(listen, host=tuple(listen.host))
    return listen


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
