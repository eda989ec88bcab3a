"""What a pool does in an outage, by simulated time: `make bench-failover` prints the table of docs/performance.md.

The gateway's own rules, of `proxy.upstreams`, before upstreams that are a function of time: no sockets, no sleep, the
same table each time. 200 requests a second for 120 s, of 200 conversations; the outage is from 20 s to 80 s.
"""

import dataclasses
import random
from collections.abc import Callable

from proxy.causes import Cause
from proxy.config import Member, Model, Pool
from proxy.routing.router import Route
from proxy.upstreams.budget import RetryBudget
from proxy.upstreams.detours import Detours
from proxy.upstreams.health import Health, Place
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.verdict import Mark, Refusal, Verdict, of_failure, of_refusal

RATE, SECONDS, SESSIONS = 200, 120, 200
BEGINS_S, ENDS_S = 20.0, 80.0
CACHE_S = 300.0
MODEL = Model("anthropic/m", "pool")

# What an upstream says at a time; None: it serves.
Upstream = Callable[[str, float, random.Random], Verdict | None]


def dead(*names: str) -> Upstream:
    """Refuse connections, these upstreams, during the outage."""
    return lambda name, now, _: (
        of_failure(Cause.UPSTREAM_UNREACHABLE) if name in names and _is_out(now) else None
    )


def refusing(status: int, retry_after_s: float | None, *names: str, share: float = 1.0) -> Upstream:
    """Answer with an error, these upstreams, a share of requests, during the outage."""
    verdict = of_refusal(Refusal(status, retry_after_s))
    return lambda name, now, chance: (
        verdict if name in names and _is_out(now) and chance.random() < share else None
    )


def _is_out(now: float) -> bool:
    return BEGINS_S <= now < ENDS_S


SCENARIOS: dict[str, tuple[str, Upstream]] = {
    "nothing fails": ("abcd", lambda *_: None),
    "two of three accounts cannot be reached": ("abc", dead("a", "b")),
    "one of two is over its limit, `retry-after: 30`": ("ab", refusing(429, 30.0, "a")),
    "the same without `retry-after`": ("ab", refusing(429, None, "a")),
    "a key of three is dead (401)": (
        "abc",
        lambda name, now, _: (
            of_failure(Cause.UPSTREAM_AUTH) if name == "a" and _is_out(now) else None
        ),
    ),
    "529 for a third of the requests everywhere": (
        "abc",
        refusing(529, None, "a", "b", "c", share=1 / 3),
    ),
    "529 for all, everywhere": ("abc", refusing(529, None, "a", "b", "c")),
}


@dataclasses.dataclass
class Seen:
    """What came of a scenario. `ways`: who has served each conversation, one after the other."""

    requests: int = 0
    attempts: int = 0
    failed: int = 0
    warm: int = 0
    ways: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def simulate(names: str, upstream: Upstream) -> Seen:
    """Run a scenario."""
    chance = random.Random(1)
    pool = Pool("pool", tuple(map(Member, names)))
    order = PoolOrder(pool, {name: name for name in names})
    routes = {name: Route(name, "m", MODEL, "anthropic/m") for name in names}
    health, budget, seen = Health(), RetryBudget(0.0), Seen()
    used: dict[tuple[str, str], float] = {}
    for number in range(RATE * SECONDS):
        now = number / RATE
        session = f"tester\0session\0{number % SESSIONS}"
        budget.earn()
        way = Detours(
            [routes[each] for each in order.of(session)], order, health, budget, lambda: False
        )
        route: Route | None = way.first(now)
        seen.requests += 1
        while route is not None:
            seen.attempts += 1
            verdict = upstream(route.upstream, now, chance)
            if verdict is None:
                health.alive(route.upstream, "m", now)
                seen.warm += now - used.get((session, route.upstream), -CACHE_S) < CACHE_S
                used[session, route.upstream] = now
                way_so_far = seen.ways.setdefault(session, [])
                if way_so_far[-1:] != [route.upstream]:
                    way_so_far.append(route.upstream)
                break
            _note(health, route.upstream, verdict, now, chance)
            route = way.next(verdict, now)
        else:
            seen.failed += 1
    return seen


def _note(health: Health, name: str, verdict: Verdict, now: float, chance: random.Random) -> None:
    place = Place(name, "m" if verdict.mark in (Mark.STRIKE_MODEL, Mark.COOL_MODEL) else None)
    if verdict.mark in (Mark.STRIKE, Mark.STRIKE_MODEL):
        health.strike(place, now, "", chance.uniform(0.9, 1.1))
    elif verdict.mark in (Mark.COOL, Mark.COOL_MODEL):
        health.cool(place, now, "", verdict.cool_s, verdict.most_s)


def table() -> str:
    """Return what came of every scenario."""
    lines = [
        "| what happens for a minute | requests | failures told to clients | attempts / requests | from a warm cache |",
        "|---|---|---|---|---|",
    ]
    for name, (names, upstream) in SCENARIOS.items():
        seen = simulate(names, upstream)
        served = seen.requests - seen.failed
        lines.append(
            f"| {name} | {seen.requests:,} | {seen.failed:,} | {seen.attempts / seen.requests:.3f} "
            f"| {seen.warm / served:.1%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
