"""Which member of a pool is asked first for one request, and which next. Pure: the time is passed in."""

from collections.abc import Callable, Iterator, Sequence

from proxy.routing.router import Route
from proxy.upstreams.budget import RetryBudget
from proxy.upstreams.health import Health
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.verdict import SHORT_WAIT_S, Move, Verdict


class Detours:
    """The way of one request through its pool.

    Args:
        candidates: the members that can serve it, its home first; at least one.
        order: of the pool.
        health: of all upstreams.
        budget: of the pool.
        is_costly: whether to have it served away from home costs more than to wait; asked when something fails.

    Attributes:
        is_broke: whether it would have moved, and the budget was empty.
    """

    def __init__(
        self,
        candidates: Sequence[Route],
        order: PoolOrder,
        health: Health,
        budget: RetryBudget,
        is_costly: Callable[[], bool],
    ) -> None:
        self._candidates = candidates
        self._home = candidates[0]
        self._health = health
        self._budget = budget
        self._left = order.pool.attempts
        self._is_costly = is_costly
        self._base_urls = order.base_urls
        self._asked: list[Route] = []
        self._not_there: set[str] = set()
        self.is_broke = False

    def first(self, now: float) -> Route:
        """Return whom to ask first: its home, if that is ready, else the next that is.

        When none is ready, the one that will be so first: nothing is refused because of what happened to others. Then
        those come next that decline some of their requests, and may serve this one.
        """
        home = self._home
        home_at = self._ready_at(home)
        if home_at <= now or (home_at - now <= SHORT_WAIT_S and self._is_costly()):
            return self._ask(home)
        ready = self._next_ready(now)
        if ready is not None:
            return self._ask(ready)
        return self._ask(min(self._candidates, key=self._ready_at))

    def home_first(self) -> Route:
        """Return its home, which has been asked already."""
        return self._ask(self._home)

    def next(self, verdict: Verdict, now: float) -> Route | None:
        """Return whom to ask after the last one, of which all was noted; None: what it said is final."""
        last = self._asked[-1]
        if verdict.move is Move.ELSEWHERE:
            self._not_there.add(self._base_urls[last.upstream])
        if self._left <= 0 or not self._may_move(verdict.move, last, now):
            return None
        found = self._next_ready(now) or self._next_that_may_serve(now)
        if found is None:
            return None
        if not self._budget.spend(now):
            self.is_broke = True
            return None
        return self._ask(found)

    def can_move(self, now: float) -> bool:
        """Return whether there is another one that could be asked now."""
        return self._left > 0 and self._next_ready(now) is not None and self._budget.has_one(now)

    def _may_move(self, move: Move, last: Route, now: float) -> bool:
        match move:
            case Move.NEVER:
                return False
            case Move.UNLESS_COSTLY:
                return last is not self._home or not self._is_costly()
            case Move.UNLESS_COSTLY_OR_COOLING:
                at_home = last is self._home and self._ready_at(last) <= now
                return not (at_home and self._is_costly())
        return True

    def _next_ready(self, now: float) -> Route | None:
        return next((each for each in self._others() if self._ready_at(each) <= now), None)

    def _next_that_may_serve(self, now: float) -> Route | None:
        may_serve = self._health.may_serve
        others = self._others()
        return next(
            (each for each in others if may_serve(each.upstream, each.upstream_model, now)), None
        )

    def _others(self) -> Iterator[Route]:
        """Yield the candidates that have not been asked, and are not where it is not known."""
        for each in self._candidates:
            if each not in self._asked and self._base_urls[each.upstream] not in self._not_there:
                yield each

    def _ready_at(self, route: Route) -> float:
        return self._health.ready_at(route.upstream, route.upstream_model)

    def _ask(self, route: Route) -> Route:
        self._left -= 1
        self._asked.append(route)
        return route
