"""One of several processes that ask for the same key at the same time: `python -m tests.unit.limits.load URL TERMS S`.

Prints what it was granted and what it spent, as JSON.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

import redis.asyncio

from proxy.limits.local import Local
from proxy.limits.server import Server
from proxy.limits.shared import Shared
from proxy.limits.verdict import Ask, Grant, Rule
from tests.unit.limits.making import PERIODS, policy_of

TASKS = 16
HOLD = 40
# Counted by the clients themselves, between a grant and its settlement.
LIVE = "live"
# How many processes are there; none asks before all are.
READY = "ready"
PROCESSES = 4


async def run(url: str, terms: dict[str, Any], seconds: float) -> dict[str, int]:
    """Ask as fast as can be, for some time, or until refused for something that other requests do not end."""
    told = {"granted": 0, "spent": 0, "most_live": 0, "alone": 0, "refused": 0}
    local = Local()
    shared = Shared(Server(url, "load", 30), local, lambda _: None)
    await shared.open()
    live = redis.asyncio.Redis.from_url(url)
    policy = policy_of(local, strict=True, **terms)
    name = f"{random.getrandbits(40):x}"

    async def client(number: int) -> None:
        asked = 0
        while time.monotonic() < ends:
            asked += 1
            ask = Ask(f"req_{name}_{number}_{asked}", policy, PERIODS, 1, 1, HOLD)
            verdict = await shared.admit(ask)
            if isinstance(verdict, Grant):
                told["granted"] += 1
                told["alone"] += verdict.readings is None
                told["most_live"] = max(told["most_live"], await live.incr(LIVE))
                await asyncio.sleep(random.random() / 200)  # a request takes a while
                cost = random.randint(1, HOLD)
                await live.decr(LIVE)
                shared.settle(verdict, 1, 1, cost)
                told["spent"] += cost
            elif verdict.rule is Rule.IN_FLIGHT:
                await asyncio.sleep(0.002)  # a client that tries again
            elif verdict.rule is not Rule.BUDGET_HELD:
                told["refused"] += 1
                return

    await live.incr(READY)
    while int(await live.get(READY) or 0) < PROCESSES:  # noqa: ASYNC110 - it is on a server
        await asyncio.sleep(0.01)
    ends = time.monotonic() + seconds
    await asyncio.gather(*(client(number) for number in range(TASKS)))
    await shared.close()
    await live.aclose()
    return told


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps(asyncio.run(run(sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3]))))
    )
