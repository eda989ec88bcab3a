"""What differs between two configurations, in a few words and without a value; and what of it takes a restart. Pure."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from proxy.config import Budgets, Config, Listen, RateLimits
from proxy.config_file.faults import safe_name

# Entries are told apart by these, whatever their order.
_NAMES = {"upstreams": "name", "pools": "name", "models": "id", "keys": "name", "owners": "name"}
_MAX_TOLD = 12


def between(old: Config, new: Config) -> list[str]:
    """Return what a person would say has changed: `models +1`, `upstreams.acct-a.auth changed`."""
    return list(_sections(old, new, ""))


def describe(changes: list[str]) -> str:
    """Write changes one after the other, not too many."""
    more = f" and {len(changes) - _MAX_TOLD} more" if len(changes) > _MAX_TOLD else ""
    return ", ".join(changes[:_MAX_TOLD]) + more


def without_restart(running: Config, wanted: Config) -> Config:
    """Return a wanted configuration with what a running gateway has made for good: sockets, processes, files."""
    return dataclasses.replace(
        wanted,
        listen=_same_sockets(running.listen, wanted.listen),
        limits=dataclasses.replace(wanted.limits, max_connections=running.limits.max_connections),
        timeouts=dataclasses.replace(wanted.timeouts, keepalive_s=running.timeouts.keepalive_s),
        log=dataclasses.replace(wanted.log, format=running.log.format),
        # Without it, nothing looks at the origins of requests.
        cors=wanted.cors if running.cors.origins else running.cors,
        store=running.store,
        redis=running.redis,
        admin=running.admin,
        otel=running.otel,
    )


def _same_sockets(running: Listen, wanted: Listen) -> Listen:
    """Return what a running listener can become: it may show another certificate."""
    has_tls = running.tls is not None and wanted.tls is not None
    return dataclasses.replace(running, tls=wanted.tls) if has_tls else running


def without_limits(running: Config, wanted: Config) -> Config:
    """Return a wanted configuration with nothing limited or priced, for a gateway that was started without any of it.

    A key that is new and is to be limited is left out: it would be served without its limits.
    """
    bound = {owner.name for owner in wanted.owners if owner.limits or owner.budgets}
    known = {key.name for key in running.keys}
    is_each = bool(wanted.quota.each_key_limits or wanted.quota.each_key_budgets)
    return dataclasses.replace(
        wanted,
        keys=tuple(
            dataclasses.replace(
                key,
                limits=None if key.limits else key.limits,
                budgets=None if key.budgets else key.budgets,
            )
            for key in wanted.keys
            if key.name in known or not (key.limits or key.budgets or key.owner in bound or is_each)
        ),
        owners=tuple(
            dataclasses.replace(owner, limits=RateLimits(), budgets=Budgets())
            for owner in wanted.owners
        ),
        quota=running.quota,
        prices=running.prices,
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
    named = _shown_id if path == "models" else safe_name
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
        f"{path}.{named(name)}.{field.name} changed"
        for name, entry in new.items()
        if name in old
        for field in dataclasses.fields(entry)
        if getattr(old[name], field.name) != getattr(entry, field.name)
    ]
    yield from changed
    if not counts and not changed:
        yield f"{path} in another order"


def _shown_id(text: str) -> str:
    """Return a model's id, which has a vendor before a slash, as it may be shown."""
    return text if all(safe_name(part) == part for part in text.split("/")) else safe_name(text)
