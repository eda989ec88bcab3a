"""What differs between two configurations, in a few words and without a value; and what of it takes a restart. Pure."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from proxy.config import Config
from proxy.config_file.faults import shown

# Entries are told apart by these, whatever their order.
_NAMES = {"upstreams": "name", "pools": "name", "models": "id", "keys": "name", "owners": "name"}
_MAX_TOLD = 12


def between(old: Config, new: Config) -> list[str]:
    """Return what a person would say has changed: `models +1`, `upstreams.acct-a.auth changed`."""
    return list(_sections(old, new, ""))


def told(changes: list[str]) -> str:
    """Write changes one after the other, not too many."""
    more = f" and {len(changes) - _MAX_TOLD} more" if len(changes) > _MAX_TOLD else ""
    return ", ".join(changes[:_MAX_TOLD]) + more


def without_restart(running: Config, wanted: Config) -> Config:
    """Return a wanted configuration with what a running gateway has made for good: sockets, processes, files."""
    return dataclasses.replace(
        wanted,
        listen=running.listen,
        limits=dataclasses.replace(wanted.limits, max_connections=running.limits.max_connections),
        timeouts=dataclasses.replace(wanted.timeouts, keepalive_s=running.timeouts.keepalive_s),
        log=dataclasses.replace(wanted.log, format=running.log.format),
        # Without it, nothing looks at the origins of requests.
        cors=wanted.cors if running.cors.origins else running.cors,
        store=running.store,
        redis=running.redis,
        admin=running.admin,
    )


def _sections(old: Any, new: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(old):
        path, before, after = (
            prefix + field.name,
            getattr(old, field.name),
            getattr(new, field.name),
        )
        if before == after:
            continue
        if path in _NAMES:
            yield from _entries(path, before, after)
        elif dataclasses.is_dataclass(before) and type(before) is type(after):
            yield from _sections(before, after, path + ".")
        else:
            yield f"{path} changed"


def _entries(path: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[str]:
    """Yield of a list how many entries came and went, and which fields of which changed."""
    name_of = _NAMES[path]
    old = {getattr(each, name_of): each for each in before}
    new = {getattr(each, name_of): each for each in after}
    counts = [
        f"{sign}{number}"
        for sign, number in (
            ("+", len(new.keys() - old.keys())),
            ("-", len(old.keys() - new.keys())),
        )
        if number
    ]
    if counts:
        yield f"{path} {' '.join(counts)}"
    changed = [
        f"{path}.{shown(name)}.{field.name} changed"
        for name, entry in new.items()
        if name in old
        for field in dataclasses.fields(entry)
        if getattr(old[name], field.name) != getattr(entry, field.name)
    ]
    yield from changed
    if not counts and not changed:
        yield f"{path} in another order"
