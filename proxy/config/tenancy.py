"""The configuration of who may use how much, what it costs, and where that is kept. Pure.

Money is in micro-dollars. Nothing of this is on unless it is configured.
"""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

Fail = Literal["open", "closed"]


@dataclasses.dataclass(frozen=True, slots=True)
class RateLimits:
    """How much in a minute, and how much at once. None: as much as one likes.

    Tokens are counted as the API counts them: input without cache reads.

    Attributes:
        max_in_flight: requests for messages that are in flight at once.
        fail: what happens when the counters cannot be reached: `open` counts in this process, `closed` refuses.
        shadow: whether everything is counted and nothing refused.
    """

    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    max_in_flight: int | None = None
    fail: Fail = "open"
    shadow: bool = False

    def __bool__(self) -> bool:
        """Return whether anything is limited."""
        return any(
            limit is not None
            for limit in (
                self.requests_per_minute,
                self.input_tokens_per_minute,
                self.output_tokens_per_minute,
                self.max_in_flight,
            )
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Budgets:
    """How much money per UTC day and UTC month, in micro-dollars; None: no bound. The rest as in `RateLimits`."""

    day_micros: int | None = None
    month_micros: int | None = None
    fail: Fail = "open"
    shadow: bool = False

    def __bool__(self) -> bool:
        """Return whether anything is bounded."""
        return self.day_micros is not None or self.month_micros is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """A team or a person with several keys, limited together."""

    name: str
    limits: RateLimits = RateLimits()
    budgets: Budgets = Budgets()


@dataclasses.dataclass(frozen=True, slots=True)
class Quota:
    """Limits and budgets of all requests together, and of each key that has none of its own.

    Attributes:
        output_reserve_tokens: the most output that is reserved for a request before it has been answered.
        hold: what a request holds of a budget before its cost is known: what is expected, or the worst case.
        queue_s: how long a request waits for one in flight to end, instead of being refused; 0: not at all.
        contact: a sentence at the end of every message about a spent budget.
    """

    global_limits: RateLimits = RateLimits()
    global_budgets: Budgets = Budgets()
    each_key_limits: RateLimits = RateLimits()
    each_key_budgets: Budgets = Budgets()
    output_reserve_tokens: int = 4096
    hold: Literal["expected", "worst"] = "expected"
    queue_s: float = 0
    contact: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """The database of ledger and managed keys.

    Attributes:
        url: `sqlite:///PATH` or `postgresql://…`. `repr` never shows it: it may hold a password.
        state_dir: folder of the rows that are not in the database yet.
        spool_max_bytes: of those rows; beyond it, rows are counted as lost.
        retention_days: how long single requests are kept; daily sums stay for ever.
    """

    url: str = dataclasses.field(repr=False)
    state_dir: str = "var"
    spool_max_bytes: int = 1 << 30
    retention_days: int = 90


@dataclasses.dataclass(frozen=True, slots=True)
class Redis:
    """The counters of several processes or machines. `name` keeps fleets apart that share a server."""

    url: str = dataclasses.field(repr=False)
    name: str = "default"
    timeout_ms: int = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Prices:
    """What tokens cost.

    Attributes:
        file: a price file in place of the shipped one; None: the shipped one.
        multiplier: of every cost.
        upstreams: a further factor by upstream, such as of a cloud's regional endpoints.
        overrides: rows of a price file that come first, as they are written there.
    """

    file: str | None = None
    multiplier: Fraction = Fraction(1)
    upstreams: Mapping[str, Fraction] = dataclasses.field(default_factory=dict, hash=False)
    overrides: tuple[Mapping[str, Any], ...] = dataclasses.field(default=(), hash=False)


@dataclasses.dataclass(frozen=True, slots=True)
class AdminKey:
    """A credential of the admin API, as its SHA-256 in hex.

    `read` may look, `write` may change, `metrics` may read `/metrics` and nothing else.
    """

    name: str
    sha256: str
    role: Literal["read", "write", "metrics"] = "read"


@dataclasses.dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin API and the pages listen, and who may use them.

    Attributes:
        host, port: of the listener.
        keys: credentials.
        hosts: names that browsers may know it by, beside addresses, `localhost` and `host`.
        behind_https: whether browsers reach it by https, through a proxy in front.
        key_holders: whether who holds a client's key may sign in with it, and sees what is that key's.
        sessions: whether sessions and agents are shown.
    """

    host: str = "127.0.0.1"
    port: int = 8081
    keys: tuple[AdminKey, ...] = ()
    hosts: tuple[str, ...] = ()
    behind_https: bool = False
    key_holders: bool = True
    sessions: bool = True
