"""What a schema cannot check of stores, limits, budgets and prices: what needs what, and names that must be known."""

import importlib.util
import re
from collections.abc import Collection, Iterator
from typing import Any

from proxy.config_file import telling
from proxy.config_file.faults import Fault, Path, dotted_path, join_names, suggest
from proxy.config_file.tenancy import to_micros

_MIN_DIFFERENT_CHARS = 8
_LAST_PORT = 65_535


def faults(document: Any, broken: Collection[Path]) -> Iterator[Fault]:
    """Find what is wrong; nothing at or below the broken paths is looked at, nor anything that is no mapping."""
    if not isinstance(document, dict):
        return
    sound = _without(document, (), broken)
    yield from _owners(sound)
    yield from _amounts(sound)
    yield from _needs(sound)
    yield from _prices(sound)
    yield from _admin(sound)
    yield from telling.faults(sound)


def _without(value: Any, path: Path, broken: Collection[Path]) -> Any:
    """Return a document without what is broken in it."""
    match value:
        case dict():
            items = ((key, (*path, key), each) for key, each in value.items())
            return {key: _without(each, at, broken) for key, at, each in items if at not in broken}
        case list():
            return [
                None if (*path, i) in broken else _without(each, (*path, i), broken)
                for i, each in enumerate(value)
            ]
    return value


def _entries(document: Any, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for i, entry in enumerate(document.get(name) or ()):
        if isinstance(entry, dict):
            yield (name, i), entry


def _find_bounds(document: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Return everything that may have `limits` and `budgets`."""
    quota = document.get("quota") or {}
    for name in ("global", "each_key"):
        if isinstance(quota.get(name), dict):
            yield ("quota", name), quota[name]
    yield from _entries(document, "owners")
    yield from _entries(document, "keys")


def _owners(document: Any) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for path, entry in _entries(document, "owners"):
        if (name := entry.get("name")) is None:
            continue
        earlier = first.setdefault(name, path)
        if earlier != path:
            yield Fault((*path, "name"), f"this name is already at {dotted_path(earlier)}")
    for path, entry in _entries(document, "keys"):
        owner = entry.get("owner")
        if owner is not None and owner not in first:
            known = suggest(owner, first) or (f"; known: {join_names(first)}" if first else "")
            yield Fault((*path, "owner"), f"no owner has this name{known}")


def _amounts(document: Any) -> Iterator[Fault]:
    for path, entry in _find_bounds(document):
        for name, amount in (entry.get("budgets") or {}).items():
            if name.endswith("_usd") and to_micros(amount) is None:
                yield Fault((*path, "budgets", name), "must have six decimals at the most")


def _needs(document: Any) -> Iterator[Fault]:
    store, redis = document.get("store"), document.get("redis")
    bounds = [
        (*path, kind)
        for path, entry in _find_bounds(document)
        for kind in ("limits", "budgets")
        if entry.get(kind)
    ]
    if bounds and redis is None and (document.get("listen") or {}).get("workers", 1) != 1:
        yield Fault(
            ("listen", "workers"),
            f"with more than one, {dotted_path(bounds[0])} needs redis: each would count for itself",
        )
    if store is None:
        for path in bounds:
            if path[-1] == "budgets":
                yield Fault(path, "needs a store, which knows what was spent")
    for section, entry in (("store", store), ("redis", redis)):
        if entry and _has_wrong_port(str(entry.get("url"))):
            yield Fault((section, "url"), "needs a port from 1 to 65535, if it has one")
    if store and str(store.get("url")).startswith("postgresql:") and not _is_installed("psycopg"):
        yield Fault(("store", "url"), _extra("postgres"))
    if redis and not _is_installed("redis"):
        yield Fault(("redis",), _extra("redis"))


def _has_wrong_port(url: str) -> bool:
    """Return whether a database's URL has a port that is none. A password may hold almost anything."""
    kind, _, rest = url.partition("://")
    if kind == "sqlite":
        return False
    authority = re.split("[/?]", rest.partition("@")[2] if "@" in rest else rest, maxsplit=1)[0]
    port = authority.rpartition("]")[2].rpartition(":")[2] if ":" in authority else ""
    return bool(port) and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT)


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _prices(document: Any) -> Iterator[Fault]:
    upstreams = document.get("upstreams") or {}
    for name in (document.get("prices") or {}).get("upstreams") or {}:
        if upstreams and name not in upstreams:
            known = suggest(name, upstreams) or f"; known: {join_names(upstreams)}"
            yield Fault(("prices", "upstreams", name), f"no upstream has this name{known}")


def _admin(document: Any) -> Iterator[Fault]:
    admin = document.get("admin")
    if not admin:
        return
    port = admin.get("port", 8081)
    if port and port == (document.get("listen") or {}).get("port", 8080):
        yield Fault(("admin", "port"), "must be another than listen.port")
    first: dict[str, int] = {}
    for i, key in enumerate(admin.get("keys") or ()):
        if not isinstance(key, dict):
            continue
        path: Path = ("admin", "keys", i)
        if (name := key.get("name")) is not None and first.setdefault(name, i) != i:
            yield Fault((*path, "name"), f"this name is already at admin.keys.{first[name]}")
        if (text := key.get("key")) is not None and len(set(text)) < _MIN_DIFFERENT_CHARS:
            yield Fault((*path, "key"), "too easy to guess: it has too few different characters")


def _extra(name: str) -> str:
    """Return where the packages of an extra come from: the index may have another project of our name."""
    return f"needs the extra {name}: `make install` brings it, or `pip install '.[{name}]'` in a checkout"
