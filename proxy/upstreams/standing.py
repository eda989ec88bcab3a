"""What is learned of the upstreams while the gateway runs: it outlives every configuration. Pure.

Per process: eight workers learn separately, which costs eight times three failed attempts an outage, and no dependency.
"""

from collections import OrderedDict

from proxy.config import Config, Upstream
from proxy.upstreams.budget import RetryBudget
from proxy.upstreams.counts import Counts
from proxy.upstreams.failing import Failing
from proxy.upstreams.health import Health

_MAX_THREADS = 10_000
_THREAD_S = 3600.0


class Standing:
    """Health by upstream, retry budgets by pool, and which upstream holds which thread of messages.

    Attributes:
        health: of the upstreams. `counts`: what they were asked.
        failing: which of them fail what is asked of them outside of pools.
    """

    def __init__(self) -> None:
        self.health = Health()
        self.counts = Counts()
        self.failing = Failing()
        self._anew_s: dict[str, float] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._threads: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def budget(self, pool: str, now: float) -> RetryBudget:
        """Return the retry budget of a pool."""
        found = self._budgets.get(pool)
        if found is None:
            found = self._budgets[pool] = RetryBudget(now)
        return found

    def without_retries(self) -> list[tuple[str, int]]:
        """Return by pool how many requests were not sent elsewhere, since its budget was empty."""
        return [(pool, budget.missed) for pool, budget in self._budgets.items()]

    def holds(self, message_id: str, upstream: str, now: float) -> None:
        """Take note of which upstream has given a message that others may refer to."""
        self._threads[message_id] = upstream, now
        self._threads.move_to_end(message_id)
        if len(self._threads) > _MAX_THREADS:
            self._threads.popitem(last=False)

    def holder_of(self, message_id: str, now: float) -> str | None:
        """Return which upstream has given a message; None: that is not known, or long ago."""
        upstream, at = self._threads.get(message_id, (None, 0.0))
        return upstream if now - at < _THREAD_S else None

    def is_older(self, started_s: float, upstream: str) -> bool:
        """Return whether a request began when the upstream's name was another account's: it is sent to that one."""
        return bool(self._anew_s) and started_s <= self._anew_s.get(upstream, 0.0)

    def follow(self, before: Config, after: Config, now: float) -> None:
        """Forget the upstreams that another configuration does not have, or has as another account."""
        accounts = {each.name: _account(each) for each in after.upstreams}
        for upstream in before.upstreams:
            if accounts.get(upstream.name) != _account(upstream):
                self.health.forget(upstream.name)
                self.counts.forget(upstream.name)
                self.failing.forget(upstream.name)
                self._anew_s[upstream.name] = now


def _account(upstream: Upstream) -> tuple[object, ...]:
    return upstream.base_url, upstream.auth
