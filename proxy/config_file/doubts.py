"""What in a good configuration is probably not as it was meant: warnings, which stop nothing. Pure."""

import datetime
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

from proxy.bounds import share_bytes
from proxy.config import Auth, Config
from proxy.config_file.faults import Fault, Path, looks_secret

_WITH_PASSWORD = re.compile(r"://[^/@\s]*:([^/@\s]+)@")


def about(document: Any, config: Config, now: datetime.datetime) -> Iterator[Fault]:
    """Find what a person should look at.

    Args:
        document: as written, references not filled in: a secret in the file is one of the things looked for.
        config: what is served of it: the command line may have made it another.
        now: with its time zone.
    """
    yield from _find_unused(config)
    yield from _one_account_twice(config)
    yield from _plain_secrets(document)
    if config.listen.workers > 1 and config.store is not None and config.redis is None:
        yield Fault(
            ("listen", "workers"),
            "with more than one, limits and budgets of keys and owners in the store need redis: each worker counts for "
            "itself, and together they let through as many times as much",
        )
    yield from _bodies_without_room(config)
    for i, key in enumerate(config.keys):
        if key.expires_at is not None and key.expires_at <= now:
            since = key.expires_at.astimezone(datetime.UTC).date()
            yield Fault(("keys", i), f"{key.name} has expired on {since}: take it out, or renew it")
    if not document.get("keys") and config.store is None:
        yield Fault(
            ("keys",),
            "there is none, so that each start makes one for its run, on loopback only; "
            "`anyrouter keys new NAME --write FILE` adds a lasting one",
        )


def _bodies_without_room(config: Config) -> Iterator[Fault]:
    limits, workers = config.limits, config.listen.workers
    if limits.body_memory_bytes is None:
        return  # a part of the memory of the machine that serves, which need not be this one
    most = share_bytes(limits.body_memory_bytes // workers)
    if most < limits.max_body_bytes:
        yield Fault(
            ("limits", "body_memory_bytes"),
            f"bodies over {most} bytes are refused, though max_body_bytes is {limits.max_body_bytes}: one key may take "
            f"half of a worker's part; for the largest it needs {2 * workers * limits.max_body_bytes}",
        )


def _find_unused(config: Config) -> Iterator[Fault]:
    named = {model.upstream for model in config.models}
    used = set(named)
    for pool in config.pools:
        if pool.name not in named:
            yield Fault(("pools", pool.name), "no model is served there")
        used.update(member.upstream for member in pool.members)
    for upstream in config.upstreams:
        if upstream.name not in used:
            yield Fault(("upstreams", upstream.name), "no model is served there")


def _one_account_twice(config: Config) -> Iterator[Fault]:
    """Find members of a pool that are one account: a limit of the one is a limit of the other."""
    upstreams = {each.name: each for each in config.upstreams}
    for pool in config.pools:
        first: dict[tuple[str, Auth], str] = {}
        for i, member in enumerate(pool.members):
            upstream = upstreams[member.upstream]
            other = first.setdefault((upstream.base_url, upstream.auth), member.upstream)
            if other != member.upstream and upstream.auth.key is not None:
                yield Fault(
                    ("pools", pool.name, "members", i),
                    f"{member.upstream} is the same account as {other}: "
                    "it has the same limits and caches, so nothing is won by asking it, too",
                )


def _plain_secrets(document: Any) -> Iterator[Fault]:
    for i, entry in enumerate(document.get("keys") or ()):
        if _is_plain(entry.get("key")):
            hint = "store its `sha256`, which opens nothing, or a ${VARIABLE}"
            yield Fault(("keys", i, "key"), f"the key itself stands in the file: {hint}")
    for name, entry in document["upstreams"].items():
        key = (entry.get("auth") or {}).get("key")
        # Not what stands there for a server that takes any.
        if _is_plain(key) and looks_secret(key):
            yield _in_the_file(("upstreams", name, "auth", "key"))
        if _holds_password(entry.get("proxy")):
            yield _in_the_file(("upstreams", name, "proxy"))
    yield from _plain_in_entries(document, "admin", "keys", "key")
    yield from _plain_in_entries(document, "alerts", "to", "secret")
    for section in ("store", "redis"):
        if _holds_password((document.get(section) or {}).get("url")):
            yield _in_the_file((section, "url"))


def _plain_in_entries(document: Any, section: str, entries: str, name: str) -> Iterator[Fault]:
    for i, entry in enumerate((document.get(section) or {}).get(entries) or ()):
        if _is_plain(entry.get(name)):
            yield _in_the_file((section, entries, i, name))


def _holds_password(url: object) -> bool:
    password = _WITH_PASSWORD.search(url) if isinstance(url, str) else None
    return password is not None and _is_plain(password[1])


def _is_plain(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and "${" not in value


def _in_the_file(path: Path) -> Fault:
    return Fault(path, "a secret stands in the file: put a ${VARIABLE} or ${file:NAME} there")
