"""What each upstream was asked, and what came of it, since this process began. Pure: times are passed in.

Not what is billed: that is the ledger's. This says where the requests go now, and how warm the caches are.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from proxy.routing.router import Route
from proxy.upstreams.account import Headroom, headroom

_READ_ACCOUNT_EVERY_S = 1.0
_MAX_BITS = 40
_FRESH, _READ, _WRITTEN = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


class Count(msgspec.Struct, gc=False):
    """What one upstream was asked by way of one pool.

    Attributes:
        requests: that it was asked. `failures`: of them that failed by it, and not by their client or by the gateway.
        homes: that belong to it. `moved_away`: of them that another one answered.
        stood_in: that it answered for another one.
        cache_read, cache_written, uncached: tokens of its answers' prompts.
    """

    requests: int = 0
    failures: int = 0
    homes: int = 0
    moved_away: int = 0
    stood_in: int = 0
    cache_read: int = 0
    cache_written: int = 0
    uncached: int = 0


class LastError(NamedTuple):
    """What an upstream failed with last, in a word, and when."""

    why: str
    at_s: float


class Account(NamedTuple):
    """What an account had left when it last said so."""

    kinds: dict[str, Headroom]
    at_s: float


class Counts:
    """The counts of all upstreams. `now` is any clock that goes on, in seconds.

    Attributes:
        errors: the last one of each upstream. `accounts`: what each has left.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str | None], Count] = {}
        self.errors: dict[str, LastError] = {}
        self.accounts: dict[str, Account] = {}

    def asked(self, route: Route, usage: Mapping[str, Any] | None, home: str | None = None) -> None:
        """Count a request that an upstream was asked.

        Args:
            route: by which it was asked.
            usage: of its answer, whatever it holds; None: it told none.
            home: whose request it was; None: that is counted apart, or nobody's.
        """
        count = self._of(route.upstream, route.pool)
        count.requests += 1
        if home == route.upstream:
            count.homes += 1
        elif home is not None:
            self.at_home(home, route)
        if usage is None:
            return
        # What is not told is nothing.
        read, written, fresh = usage.get(_READ, 0), usage.get(_WRITTEN, 0), usage.get(_FRESH, 0)
        # Plain counts, as nearly all are, are not looked at one by one; a shift leaves something of all others.
        if (
            not (type(read) is type(written) is type(fresh) is int)
            or (read | written | fresh) >> _MAX_BITS
        ):
            read, written, fresh = _tokens(read), _tokens(written), _tokens(fresh)
        count.cache_read += read
        count.cache_written += written
        count.uncached += fresh

    def failed(self, route: Route, why: str, now: float) -> None:
        """Count that a request, which was counted, has failed by its upstream."""
        self._of(route.upstream, route.pool).failures += 1
        self.errors[route.upstream] = LastError(why, now)

    def at_home(self, home: str, route: Route) -> None:
        """Count whose a request was, and whether that one has answered it."""
        count = self._of(home, route.pool)
        count.homes += 1
        if route.upstream != home:
            count.moved_away += 1
            self._of(route.upstream, route.pool).stood_in += 1

    def told(self, upstream: str, fields: Mapping[str, str], now: float) -> None:
        """Take what the headers of an answer say of the account: at most once a second."""
        before = self.accounts.get(upstream)
        if before is None or now - before.at_s >= _READ_ACCOUNT_EVERY_S:
            kinds = headroom(fields)
            # One that says nothing, as most that are no success, leaves standing what was said.
            self.accounts[upstream] = Account(kinds or (before.kinds if before else {}), now)

    def of(self, upstream: str) -> dict[str | None, Count]:
        """Return the counts of an upstream by pool; None: of models that name it directly."""
        return {pool: count for (name, pool), count in self._counts.items() if name == upstream}

    def forget(self, upstream: str) -> None:
        """Forget an upstream, which is another one from now on."""
        for key in [key for key in self._counts if key[0] == upstream]:
            del self._counts[key]
        self.errors.pop(upstream, None)
        self.accounts.pop(upstream, None)

    def _of(self, upstream: str, pool: str | None) -> Count:
        key = upstream, pool
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = Count()
        return found


def _tokens(value: Any) -> int:
    # Of an upstream that lies: what is no count is none.
    return value if type(value) is int and not value >> _MAX_BITS else 0
