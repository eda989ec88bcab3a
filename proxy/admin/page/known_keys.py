"""The keys of configuration and store, as pages show them."""

import msgspec
import sqlalchemy as sa

from proxy.access.records import KeyRecord
from proxy.admin.page.page import View
from proxy.admin.shown import shown_key, shown_static_key
from proxy.config import Key
from proxy.store.keys import Keys, UnknownNameError

_EXPIRING_MS = 7 * 86_400_000
_MOST = 2_000
_ACTOR = "view"


class KnownKey(msgspec.Struct, frozen=True):
    """A key; `state`: `active`, `expiring` within a week, `expired` or `disabled`."""

    name: str
    source: str
    owner: str | None
    models: tuple[str, ...]
    tags: dict[str, str]
    state: str
    expires_at: str | None
    created_at: str | None


async def known_keys(view: View, now_ms: int) -> list[KnownKey]:
    """Return the keys by name, some thousands at most; those of a store only where there is one."""
    found = {key.name: _static(key, now_ms) for key in view.config.keys}
    if view.has_store:
        records = await view.ask(lambda engine: Keys(engine, _ACTOR).page(_MOST))
        found = {each.name: _managed(each, now_ms) for each in records} | found
    return [found[name] for name in sorted(found)]


async def deleted_keys(view: View) -> set[str]:
    """Return the names of the keys that were deleted from the store, the last some thousands."""
    if not view.has_store:
        return set()
    return await view.ask(lambda engine: Keys(engine, _ACTOR).deleted(_MOST))


async def known_key(view: View, name: str, now_ms: int) -> KnownKey | None:
    """Return a key; None: there is none of this name."""
    for key in view.config.keys:
        if key.name == name:
            return _static(key, now_ms)
    if not view.has_store:
        return None

    def get(engine: sa.Engine) -> KeyRecord | None:
        try:
            return Keys(engine, _ACTOR).get(name)
        except UnknownNameError:
            return None

    record = await view.ask(get)
    return None if record is None else _managed(record, now_ms)


def _static(key: Key, now_ms: int) -> KnownKey:
    expires_ms = None if key.expires_at is None else int(key.expires_at.timestamp() * 1000)
    return _known(shown_static_key(key), expires_ms, now_ms)


def _managed(record: KeyRecord, now_ms: int) -> KnownKey:
    return _known(shown_key(record), record.expires_at_ms, now_ms)


def _known(shown: dict[str, object], expires_ms: int | None, now_ms: int) -> KnownKey:
    fields = {name: shown[name] for name in KnownKey.__struct_fields__ if name != "state"}
    return msgspec.convert({**fields, "state": _state(shown, expires_ms, now_ms)}, KnownKey)


def _state(shown: dict[str, object], expires_ms: int | None, now_ms: int) -> str:
    if shown["disabled"]:
        return "disabled"
    if expires_ms is None or expires_ms > now_ms + _EXPIRING_MS:
        return "active"
    return "expiring" if expires_ms > now_ms else "expired"
