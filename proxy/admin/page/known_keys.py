"""The keys of configuration and store, as pages show them."""

import msgspec
import sqlalchemy as sa

from proxy.access.records import KeyRecord
from proxy.admin.page.page import View
from proxy.admin.shown import shown_key, shown_static_key, state_of
from proxy.store.keys import Keys, UnknownNameError

_MOST = 2_000
_ACTOR = "view"


class KnownKey(msgspec.Struct, frozen=True):
    """A key; `state`: as `proxy.admin.shown.state_of` says it."""

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
    found = {key.name: _known(shown_static_key(key), now_ms) for key in view.config.keys}
    if view.has_store:
        records = await view.ask(lambda engine: Keys(engine, _ACTOR).page(_MOST))
        found = {each.name: _known(shown_key(each), now_ms) for each in records} | found
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
            return _known(shown_static_key(key), now_ms)
    if not view.has_store:
        return None

    def get(engine: sa.Engine) -> KeyRecord | None:
        try:
            return Keys(engine, _ACTOR).get(name)
        except UnknownNameError:
            return None

    record = await view.ask(get)
    return None if record is None else _known(shown_key(record), now_ms)


def _known(shown: dict[str, object], now_ms: int) -> KnownKey:
    fields = {name: shown[name] for name in KnownKey.__struct_fields__ if name != "state"}
    return msgspec.convert({**fields, "state": state_of(shown, now_ms)}, KnownKey)
