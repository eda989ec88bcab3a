"""The demo's configuration. Pure."""

import dataclasses
from collections.abc import Sequence

from proxy.access import keys
from proxy.config import (
    Admin,
    AdminKey,
    Auth,
    Config,
    Key,
    Listen,
    Member,
    Model,
    Pool,
    Store,
    Upstream,
)
from proxy.demo.folder import DATABASE

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
