"""Read a configuration file into a `Config`, or say what is wrong with it, one line per fault."""

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from proxy.access.keys import digest
from proxy.config import (
    Auth,
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
    Pool,
    Reload,
    Timeouts,
    Tls,
    Upstream,
)
from proxy.config_file import doubts, lines, price_faults, quotas, references, rules, tenancy, tls
from proxy.config_file.document import References, parse_with_doubles
from proxy.config_file.faults import ConfigError
from proxy.config_file.files import FilesRead
from proxy.config_file.telling import build_alerts, build_otel

_HERE = Path()


class Loaded(NamedTuple):
    """A configuration that can be used, and what in it is probably not as it was meant, a sentence each."""

    config: Config
    warnings: tuple[str, ...]


def load_config(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file.

    Args:
        path: of the YAML file. The names of `${file:NAME}` are relative to its folder.
        environ: what `${VARIABLE}` is looked up in.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    return load(path, environ).config


def load(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] = os.environ,
    files: FilesRead | None = None,
    adjust: Callable[[Config], Config] = dataclasses.replace,
) -> Loaded:
    """Read a configuration file; as `load_config`, with its warnings.

    `files` notes what is read, also of what cannot be used; `adjust` makes of what the file says what is served.
    """
    file, files = os.fspath(path), files or FilesRead()
    text = files.read_text(path, file)
    try:
        document, config = _read(text, environ, Path(path).parent, files)
    except ConfigError as error:
        raise ConfigError(*lines.locate(error.found, file, text)) from None
    config, now = adjust(config), datetime.datetime.now(datetime.UTC)
    found = [*doubts.about(document, config, now), *price_faults.without_price(config)]
    return Loaded(config, tuple(lines.locate(found, file, text)))


def parse_config(
    text: str, environ: Mapping[str, str] = os.environ, folder: Path = _HERE
) -> Config:
    """Read a configuration from YAML text; as `load_config`."""
    return _read(text, environ, folder, FilesRead())[1]


def _read(
    text: str, environ: Mapping[str, str], folder: Path, files: FilesRead
) -> tuple[Any, Config]:
    """Return what a text says, and the configuration that it is."""
    document, doubled = parse_with_doubles(text)
    try:
        config = config_from(document, environ, folder, files)
    except ConfigError as error:
        raise ConfigError(*doubled, *error.found) from None
    if doubled:
        raise ConfigError(*doubled)
    return document, config


def config_from(
    document: Any,
    environ: Mapping[str, str] = os.environ,
    folder: Path = _HERE,
    files: FilesRead | None = None,
) -> Config:
    """Check a decoded configuration document, fill in references and defaults.

    Raises:
        ConfigError: with everything that is wrong.
    """
    files = files or FilesRead()
    filled = References(environ, folder, files)
    document = filled.fill_in(document)
    unfilled = {fault.path for fault in filled.faults}
    faults = [
        *filled.faults,
        *(fault for fault in rules.faults(document) if fault.path not in unfilled),
    ]
    broken = {fault.path for fault in faults}
    faults += references.faults(document, broken)
    faults += quotas.faults(document, broken)
    if faults:
        raise ConfigError(*faults)
    config = _build(document, folder)
    _note_other_files(config, files)
    if wrong := [*price_faults.faults(config.prices), *tls.faults(config)]:
        raise ConfigError(*wrong)
    return config


def _note_other_files(config: Config, files: FilesRead) -> None:
    """Have the files watched that are read where they are used; what is wrong with them is said there."""
    named = [] if config.prices.file is None else [config.prices.file]
    named += () if config.listen.tls is None else tls.files_of(config.listen.tls)
    for upstream in config.upstreams:
        named += () if upstream.tls is None else tls.files_of(upstream.tls)
    for file in named:
        with contextlib.suppress(OSError, ValueError):
            files.read_bytes(file)


def check_key_name(name: str) -> None:
    """Check the name of a key that is to be configured.

    Raises:
        ConfigError: it cannot stand in a configuration.
    """
    if (wrong := rules.key_name_fault(name)) is not None:
        raise ConfigError(wrong)


def check_key(key: str) -> None:
    """Check the text of a key that is to be configured.

    Raises:
        ConfigError: no key looks so.
    """
    if (wrong := rules.key_fault(key)) is not None:
        raise ConfigError(wrong)


def _build(document: Mapping[str, Any], folder: Path) -> Config:
    versions = document.get("anthropic_versions", "any")
    return Config(
        upstreams=tuple(
            _build_upstream(name, entry, folder) for name, entry in document["upstreams"].items()
        ),
        models=tuple(
            Model(**{**entry, "aliases": tuple(entry.get("aliases", ()))})
            for entry in document["models"]
        ),
        pools=tuple(_build_pool(name, entry) for name, entry in document.get("pools", {}).items()),
        keys=tuple(map(build_key, document.get("keys", ()))),
        listen=_build_listen(document.get("listen", {}), folder),
        trusted_proxies=tuple(document.get("trusted_proxies", ())),
        anthropic_versions=None if versions == "any" else frozenset(versions),
        limits=Limits(**document.get("limits", {})),
        timeouts=Timeouts(**document.get("timeouts", {})),
        echo_model=document.get("echo_model", True),
        early_head=document.get("early_head", False),
        cors=Cors(origins=tuple(document.get("cors", {}).get("origins", ()))),
        log=Log(**document.get("log", {})),
        reload=Reload(**document.get("reload", {})),
        store=tenancy.build_store(document.get("store"), folder),
        redis=tenancy.build_redis(document.get("redis")),
        quota=tenancy.build_quota(document.get("quota", {})),
        owners=tuple(map(tenancy.build_owner, document.get("owners", ()))),
        prices=tenancy.build_prices(document.get("prices", {}), folder),
        admin=tenancy.build_admin(document.get("admin")),
        alerts=build_alerts(document.get("alerts", {})),
        otel=build_otel(document.get("otel")),
    )


def _build_listen(entry: Mapping[str, Any], folder: Path) -> Listen:
    listen = Listen(**entry)
    if isinstance(listen.host, list):
        listen = dataclasses.replace(listen, host=tuple(listen.host))
    if entry.get("tls") is not None:
        listen = dataclasses.replace(listen, tls=Certificate(**_files(entry["tls"], folder)))
    return listen


def _build_upstream(name: str, entry: Mapping[str, Any], folder: Path) -> Upstream:
    return Upstream(
        name=name,
        base_url=entry["base_url"].rstrip("/"),
        auth=_build_auth(entry.get("auth", {})),
        headers=tuple(entry.get("headers", {}).items()),
        model_ids=tuple(entry.get("model_ids", {}).items()),
        dialect=entry.get("dialect", "messages"),
        counts_tokens=entry.get("counts_tokens", True),
        betas=tuple(entry.get("betas", ())),
        drop=Drop(**{name: tuple(each) for name, each in entry.get("drop", {}).items()}),
        tls=Tls(**_files(entry["tls"], folder)) if "tls" in entry else None,
        proxy=entry.get("proxy"),
    )


def _build_pool(name: str, entry: Mapping[str, Any]) -> Pool:
    members = tuple(Member(**each) for each in entry["members"])
    return Pool(**{**entry, "name": name, "members": members})


def _files(entry: Mapping[str, str], folder: Path) -> dict[str, str]:
    return {name: str(folder.absolute() / file) for name, file in entry.items()}


def _build_auth(entry: Mapping[str, Any]) -> Auth:
    auth = Auth(**entry)
    return auth if auth.command is None else dataclasses.replace(auth, command=tuple(auth.command))


def build_key(entry: Mapping[str, Any]) -> Key:
    """Return one key of a checked document."""
    expires_at = entry.get("expires_at")
    return Key(
        name=entry["name"],
        sha256=entry.get("sha256") or digest(entry["key"]),
        models=tuple(entry.get("models", ("*",))),
        expires_at=datetime.datetime.fromisoformat(expires_at) if expires_at else None,
        owner=entry.get("owner"),
        limits=tenancy.build_limits(entry["limits"]) if "limits" in entry else None,
        budgets=tenancy.build_budgets(entry["budgets"]) if "budgets" in entry else None,
        tags=entry.get("tags", {}),
        disabled=entry.get("disabled", False),
    )
