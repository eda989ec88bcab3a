"""The demo's configuration. Pure."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from proxy.access import keys
from proxy.config import (
    Admin,
    AdminKey,
    Auth,
    Budgets,
    Config,
    Key,
    Listen,
    Member,
    Model,
    Owner,
    Pool,
    Store,
    Upstream,
)
from proxy.demo.folder import DATABASE
from proxy.demo.history import FIRST, OWNERS, SECOND

MODEL = "anthropic/claude-sonnet-4.6"

_MODELS = {
    "sonnet": MODEL,
    "opus": "anthropic/claude-opus-5.5",
    "haiku": "anthropic/claude-haiku-4.5",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a demo is.

    Attributes:
        port, page_port: of the gateway and of the pages.
        folder: of its store, for as long as it runs.
        key, operator: what opens the gateway, and the pages.
    """

    port: int
    page_port: int
    folder: str
    key: str
    operator: str


def demo_config(place: Place, sandbox_urls: Sequence[str]) -> Config:
    """Configure a gateway in front of a sandbox, or of several in a pool."""
    auth = Auth("x-api-key", "sandbox")
    first, *others = sandbox_urls
    if not others:
        upstreams: tuple[Upstream, ...] = (Upstream("sandbox", first, auth),)
        pools: tuple[Pool, ...] = ()
    else:
        # Only the first account is told by the client how to answer.
        own = (("x-sandbox", None),)
        second = (Upstream("second", url, auth, own) for url in others)
        upstreams = (Upstream("first", first, auth), *second)
        pools = (Pool("sandbox", (Member("first"), Member("second", priority=2))),)
    operator = AdminKey("operator", keys.digest(place.operator), "write")
    return Config(
        upstreams=upstreams,
        models=(
            *(Model(model, "sandbox", aliases=(family,)) for family, model in _MODELS.items()),
            Model(id="anthropic/*", upstream="sandbox"),
        ),
        keys=(Key(name="demo", sha256=keys.digest(place.key)),),
        listen=Listen(port=place.port),
        pools=pools,
        store=Store(f"sqlite:///{place.folder}/{DATABASE}", state_dir=place.folder),
        admin=Admin(port=place.page_port, keys=(operator,)),
    )


BUSY_KEYS = ("anna-laptop", "ben-laptop", "ci", "nightly-agents", "intern", "contractor")
_LONG_AGO = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
_CI_DAY_MICROS = 50_000_000
_LEFT_MICROS = 1_000_000
_LEAST_MICROS = _CENT_MICROS = 10_000
# A turn of the script may take 35 s, and nobody waits for it.
_DRAIN_S = 3


def busy_config(
    place: Place,
    sandbox_urls: Sequence[str],
    secrets: Mapping[str, str],
    spent_micros: Mapping[str, int],
) -> Config:
    """Configure a gateway of several people, one budget of whom is nearly used, one spent, and one key expired.

    Args:
        place: of the demo.
        sandbox_urls: of the two accounts.
        secrets: the keys, by name: `BUSY_KEYS`.
        spent_micros: what each has spent today.
    """
    config = demo_config(place, sandbox_urls)
    spent_by_anna = spent_micros.get("anna-laptop", 0)
    spent_by_night = spent_micros.get("nightly-agents", 0)
    day_micros = {
        "anna-laptop": spent_by_anna + max(spent_by_anna // 12, _LEFT_MICROS),
        "ci": _CI_DAY_MICROS,
        "nightly-agents": max(spent_by_night * 9 // 10, _LEAST_MICROS),
    }
    # As people set them.
    budgets = {name: micros - micros % _CENT_MICROS for name, micros in day_micros.items()}
    own = tuple(
        Key(
            name,
            keys.digest(secrets[name]),
            models=("anthropic/claude-haiku-4.5",) if name == "intern" else ("*",),
            expires_at=_LONG_AGO if name == "contractor" else None,
            owner=OWNERS.get(name),
            budgets=Budgets(day_micros=budgets[name]) if name in budgets else None,
        )
        for name in BUSY_KEYS
    )
    return dataclasses.replace(
        config,
        upstreams=tuple(
            dataclasses.replace(upstream, name=name, headers=())
            for name, upstream in zip((FIRST, SECOND), config.upstreams, strict=True)
        ),
        pools=(Pool("sandbox", (Member(FIRST), Member(SECOND, priority=2))),),
        owners=tuple(map(Owner, sorted(set(OWNERS.values())))),
        timeouts=dataclasses.replace(config.timeouts, drain_s=_DRAIN_S),
        keys=(*config.keys, *own),
    )
