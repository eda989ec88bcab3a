"""A configuration made by hand, as the document that it would be: so that it is checked as a file is."""

import dataclasses
import datetime
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from proxy.config import Auth, Budgets, Config, Pool, Quota, RateLimits, Upstream
from proxy.config_file import price_faults, quotas, references, rules, tls
from proxy.config_file.faults import ConfigError, Fault

_MICROS_PER_DOLLAR = 1_000_000


def check(config: Config) -> None:
    """Check a configuration, wherever it is from.

    Raises:
        ConfigError: with everything that is wrong, as for a file.
        TypeError: it is none, such as the name of a file.
    """
    if not isinstance(config, Config):
        raise TypeError(
            f"config: must be a proxy.Config, as proxy.load_config(FILE) returns it; it is a {type(config).__name__}"
        )
    document = document_of(config)
    faults = [
        *_find_duplicates("upstreams", config.upstreams),
        *_find_duplicates("pools", config.pools),
        *rules.faults(document),
    ]
    broken = {fault.path for fault in faults}
    faults += references.faults(document, broken)
    faults += quotas.faults(document, broken)
    faults += price_faults.faults(config.prices)
    faults += tls.faults(config)
    if faults:
        raise ConfigError(*map(str, faults))


def document_of(config: Config) -> dict[str, Any]:
    """Return the document that says what a configuration holds."""
    parts = _fields(config)
    versions = parts.pop("anthropic_versions")
    document: dict[str, Any] = _plain(parts)
    document["anthropic_versions"] = "any" if versions is None else sorted(versions)
    document["upstreams"] = {each.name: _upstream(each) for each in config.upstreams}
    document["pools"] = {each.name: _pool(each) for each in config.pools}
    document["quota"] = _quota(config.quota)
    usd = _dollars(config.alerts.session_micros_in_10_min)
    document["alerts"] = {"to": _plain(config.alerts.to), "session_usd_in_10_min": usd}
    return document


def _find_duplicates(section: str, entries: Sequence[Upstream | Pool]) -> list[Fault]:
    names = [each.name for each in entries]
    doubled = {name for name in names if names.count(name) > 1}
    return [Fault((section, name), "this name comes twice") for name in sorted(doubled)]


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "base_url": upstream.base_url,
        "auth": _auth(upstream.auth),
        "headers": dict(upstream.headers),
        "model_ids": dict(upstream.model_ids),
        "dialect": upstream.dialect,
        "counts_tokens": upstream.counts_tokens,
        "betas": list(upstream.betas),
        "drop": _plain(upstream.drop),
        **_plain({"tls": upstream.tls, "proxy": upstream.proxy}),
    }


def _pool(pool: Pool) -> dict[str, Any]:
    fields: dict[str, Any] = _plain(pool)
    del fields["name"]
    return fields


def _auth(auth: Auth) -> dict[str, Any]:
    document: dict[str, Any] = _plain(auth)
    if auth.command is None:
        # Of no key does it say anything.
        del document["refresh_s"]
    return document


def _quota(quota: Quota) -> dict[str, Any]:
    document: dict[str, Any] = _plain(quota)
    for scope in ("global", "each_key"):
        document[scope] = {
            kind: document.pop(f"{scope}_{kind}")
            for kind in ("limits", "budgets")
            if f"{scope}_{kind}" in document
        }
    return document


def _plain(value: Any) -> Any:
    """Return a value as YAML has it, without what is left out."""
    match value:
        case Budgets():
            usd = {"day_usd": _dollars(value.day_micros), "month_usd": _dollars(value.month_micros)}
            return _plain({**usd, "fail": value.fail, "shadow": value.shadow})
        case dict():
            return {name: _plain(each) for name, each in value.items() if each is not None}
        case tuple():
            return [_plain(each) for each in value]
        case datetime.datetime():
            return _format_time(value)
        case Fraction():
            return float(value)
    return _plain(_fields(value)) if dataclasses.is_dataclass(value) else value


def _format_time(at: datetime.datetime) -> str:
    """Return a time as YAML has it, in whole seconds of UTC; one without a zone stays so, and is refused."""
    if at.tzinfo is None:
        return at.isoformat()
    return at.astimezone(datetime.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, without bounds that bound nothing: such need nothing either."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        name: each
        for name, each in found.items()
        if each or not isinstance(each, RateLimits | Budgets)
    }


def _dollars(micros: int | None) -> str | None:
    return None if micros is None else format(Decimal(micros) / _MICROS_PER_DOLLAR, "f")
