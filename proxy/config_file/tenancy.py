"""The parts of a checked document on stores, limits, budgets and money, as their configuration. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

from proxy.access.keys import digest
from proxy.config import Admin, AdminKey, Budgets, Owner, Prices, Quota, RateLimits, Redis, Store

_SQLITE = "sqlite:///"
_MICROS_PER_DOLLAR = 1_000_000


def to_micros(amount: float | str) -> int | None:
    """Return an amount of dollars in micro-dollars; None when it is no whole number of them."""
    try:
        micros = Decimal(str(amount)) * _MICROS_PER_DOLLAR
    except InvalidOperation:
        return None
    return int(micros) if micros == micros.to_integral_value() else None


def build_limits(entry: Mapping[str, Any]) -> RateLimits:
    """Return the limits of an entry."""
    return RateLimits(**entry)


def build_budgets(entry: Mapping[str, Any]) -> Budgets:
    """Return the budgets of an entry, its dollars as micro-dollars."""
    day_usd, month_usd = entry.get("day_usd"), entry.get("month_usd")
    return Budgets(
        day_micros=None if day_usd is None else to_micros(day_usd),
        month_micros=None if month_usd is None else to_micros(month_usd),
        fail=entry.get("fail", "open"),
        shadow=entry.get("shadow", False),
    )


def build_owner(entry: Mapping[str, Any]) -> Owner:
    """Return one owner."""
    return Owner(entry["name"], *_bounds(entry))


def build_quota(entry: Mapping[str, Any]) -> Quota:
    """Return what bounds all requests together, and each key."""
    rest = {name: value for name, value in entry.items() if name not in ("global", "each_key")}
    global_limits, global_budgets = _bounds(entry.get("global", {}))
    each_key_limits, each_key_budgets = _bounds(entry.get("each_key", {}))
    return Quota(global_limits, global_budgets, each_key_limits, each_key_budgets, **rest)


def _bounds(entry: Mapping[str, Any]) -> tuple[RateLimits, Budgets]:
    return build_limits(entry.get("limits", {})), build_budgets(entry.get("budgets", {}))


def build_store(entry: Mapping[str, Any] | None, folder: Path) -> Store | None:
    """Return the store; paths are relative to the folder of the configuration."""
    if entry is None:
        return None
    url: str = entry["url"]
    if url.startswith(_SQLITE):
        url = f"{_SQLITE}{folder.absolute() / url.removeprefix(_SQLITE)}"
    state_dir = str(folder.absolute() / entry.get("state_dir", "var"))
    return Store(**{**entry, "url": url, "state_dir": state_dir})


def build_redis(entry: Mapping[str, Any] | None) -> Redis | None:
    """Return where counters are shared."""
    return None if entry is None else Redis(**entry)


def build_prices(entry: Mapping[str, Any], folder: Path) -> Prices:
    """Return what tokens cost; factors are taken as they are written, not as the float next to them."""
    file = entry.get("file")
    return Prices(
        file=None if file is None else str(folder.absolute() / file),
        multiplier=Fraction(str(entry.get("multiplier", 1))),
        upstreams={
            name: Fraction(str(factor)) for name, factor in entry.get("upstreams", {}).items()
        },
        overrides=tuple(entry.get("overrides", ())),
    )


def build_admin(entry: Mapping[str, Any] | None) -> Admin | None:
    """Return where the admin API and the pages listen, and their credentials."""
    if entry is None:
        return None
    keys = tuple(
        AdminKey(
            name=key["name"],
            sha256=key.get("sha256") or digest(key["key"]),
            role=key.get("role", "read"),
        )
        for key in entry["keys"]
    )
    hosts = tuple(host.lower() for host in entry.get("hosts", ()))
    return Admin(**{**entry, "keys": keys, "hosts": hosts})
