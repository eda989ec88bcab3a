"""The configuration of what is served: where, by which upstreams, which models, to which keys. Pure."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Literal

from proxy.config.tenancy import Budgets, RateLimits


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """Files of PEM by which a listener shows who it is; without `key` that of the certificate is in the same file."""

    cert: str
    key: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Listen:
    """Where the gateway listens: `host` is an address or a name, or several; `::` is every address, IPv4 and IPv6."""

    host: str | tuple[str, ...] = "127.0.0.1"
    port: int = 8080
    base_path: str = "/api"
    workers: int = 1
    tls: Certificate | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return what `host` says as a tuple."""
        return (self.host,) if isinstance(self.host, str) else self.host

    @property
    def scheme(self) -> str:
        """Return how the URLs of what listens here begin."""
        return "http" if self.tls is None else "https"


@dataclasses.dataclass(frozen=True, slots=True)
class Auth:
    """The credential presented to an upstream. `repr` never shows it.

    Attributes:
        command: a program and its arguments, which prints it; None: it is `key`.
        refresh_s: how long what it printed is used.
    """

    scheme: Literal["x-api-key", "bearer", "none"] = "none"
    key: str | None = dataclasses.field(default=None, repr=False)
    command: tuple[str, ...] | None = None
    refresh_s: float = 3000


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """Files of PEM, for the way to an upstream.

    Attributes:
        ca: the authorities that are trusted, and no others; None: the system's.
        cert: the gateway's certificate, for an upstream that wants one; None: it has none.
        key: of `cert`; None: it is in the same file.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """What an upstream would refuse: values of `anthropic-beta`, and members of the body."""

    betas: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Upstream:
    """A server that speaks the Messages API: one account, with limits and caches of its own.

    Attributes:
        headers: replace the client's of that name; None takes it off.
        model_ids: what it calls models, by their native ids, `*` for what its like matched; given: it serves no others.
        counts_tokens: whether it counts tokens.
        betas: sent beside the client's `anthropic-beta`.
        drop: what of a request it does not get.
        tls: how it is spoken to; None: as everybody is.
        proxy: the HTTP proxy on the way, perhaps with user and password; None: the environment's, if any.
        dialect: how it wants to be asked: `messages`, or `vertex`.
    """

    name: str
    base_url: str
    auth: Auth = Auth()
    headers: tuple[tuple[str, str | None], ...] = dataclasses.field(default=(), repr=False)
    model_ids: tuple[tuple[str, str], ...] = ()
    counts_tokens: bool = True
    betas: tuple[str, ...] = ()
    drop: Drop = Drop()
    tls: Tls | None = None
    proxy: str | None = dataclasses.field(default=None, repr=False)
    dialect: str = "messages"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """An upstream in a pool.

    Attributes:
        weight: its share of the conversations, relative to the others of its priority; 0: it is nobody's home.
        priority: those of 1 are asked first; of 2 only when none of 1 can be, and so on.
    """

    upstream: str
    weight: int = 1
    priority: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """Upstreams that serve the same models.

    Attributes:
        prefer: `cache`: a long cached prompt waits for its own upstream rather than be written anew elsewhere; `speed`:
            it does not.
        attempts: how many upstreams are asked for one request, at the most.
    """

    name: str
    members: tuple[Member, ...]
    prefer: Literal["cache", "speed"] = "cache"
    attempts: int = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """A catalog entry: one model, or with a trailing `*` in its id all that start so.

    Attributes:
        id: `anthropic/NAME`.
        upstream: name of the upstream, or of the pool, that serves it.
        upstream_model: the id sent there, before its `model_ids`; None: the id without vendor, dots as dashes.
        display_name: shown in the model list; None: the id.
        created_at: RFC 3339, shown in the model list; None: unknown.
        aliases: other ids clients may send for it.
        lifecycle: `active`, `deprecated` or `retired`, shown in the model list as everything below.
        line: the family, such as `opus`; None: in none.
        max_input_tokens, max_tokens: the model's bounds; None: unknown.
        deprecated_at, retires_at: RFC 3339; None: never, or unknown.
        capabilities: as the API describes them; None: unknown.
    """

    id: str
    upstream: str
    upstream_model: str | None = None
    display_name: str | None = None
    created_at: str | None = None
    aliases: tuple[str, ...] = ()
    lifecycle: Literal["active", "deprecated", "retired"] = "active"
    line: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    deprecated_at: str | None = None
    retires_at: str | None = None
    capabilities: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A client's key, as its SHA-256 in hex.

    Attributes:
        name: its identity, in the log, the ledger and every counter.
        models: ids and wildcards it may use.
        expires_at: when it stops working; None: never.
        owner: who answers for it, one of `Config.owners`; None: nobody but itself.
        limits, budgets: its own; None: those of `Quota` for each key.
        tags: names and values of the operator's, for reports.
        disabled: whether it is refused as an unknown one is.
    """

    name: str
    sha256: str = ""
    models: tuple[str, ...] = ("*",)
    expires_at: datetime.datetime | None = None
    owner: str | None = None
    limits: RateLimits | None = None
    budgets: Budgets | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    disabled: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What clients can ask of the server: bytes and least rate of a body, connections of all and of one client.

    `max_connections_per_client` 0: as many as there may be. `min_body_bytes_per_s` 0: as slow as it likes.
    `body_memory_bytes` is for the bodies of all requests, of all workers together; None: a quarter of the memory.
    """

    max_body_bytes: int = 33_554_432
    max_connections: int = 10_000
    max_connections_per_client: int = 0
    min_body_bytes_per_s: int = 1024
    body_memory_bytes: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds; the schema says what each bounds."""

    connect_s: float = 5
    first_byte_s: float = 600
    idle_s: float = 300
    ping_after_s: float = 10
    request_head_s: float = 10
    request_body_idle_s: float = 30
    client_idle_s: float = 75
    drain_s: float = 30
    keepalive_s: float = 60
    leave_s: float = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Cors:
    """Origins of pages whose browsers may use the gateway; `*` for all, none by default."""

    origins: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Log:
    """What is logged, and how lines look.

    `format` auto: text on a terminal, JSON elsewhere. `probes`: whether they are logged. `error_messages`: whether the
    access log says what errors say, which may quote requests.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
    probes: bool = False
    error_messages: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Reload:
    """Whether a changed file counts at once (`watch`), and not only on SIGHUP."""

    watch: bool = True
