"""`tenancy.lua` on a real server says and keeps what `local.py` does, whatever is asked of both, in batches.

Time is told to the script, so that no test waits; who is in flight is renewed as it passes.
"""

from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import astuple

from proxy.limits.batch import LEASE_US, Batch, readings_of, verdict_of
from proxy.limits.bucket import MINUTE_US
from proxy.limits.local import Local, Spent
from proxy.limits.periods import periods_of_day
from proxy.limits.script import SCRIPT
from proxy.limits.verdict import Ask, Grant, Refusal
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import NOW_US, PERIODS, policy_of
from tests.unit.limits.strategies import BOUNDS, MICROS, TOKENS

TERMS = st.fixed_dictionaries({
    **BOUNDS,
    "limits_shadow": st.booleans(),
    "budgets_shadow": st.booleans(),
})  # fmt: skip
ASKS = st.tuples(st.integers(0, 1), TOKENS, TOKENS, MICROS, st.booleans())


class Server:
    """The script, called as a gateway does, at a time that is told."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.run = client.register_script(SCRIPT)

    def __call__(self, batch: Batch, now_us: int) -> list[Any]:
        keys, body = batch.render(now_us)
        _, replies = self.run(keys=keys, args=[body])
        return list(replies)


def _numbers(readings: Any) -> list[tuple[Any, ...]]:
    return [astuple(each)[1:] for each in readings]


def _facts(verdict: Grant | Refusal) -> tuple[Any, ...]:
    if isinstance(verdict, Grant):
        would = None if verdict.would is None else _facts(verdict.would)
        return ("granted", [each.name for each in verdict.untaken], would)
    return (verdict.rule, verdict.metric, verdict.subject.name, verdict.wait_us, verdict.spent)


class Twins(RuleBasedStateMachine):
    """Two keys of one owner, and all: counted by both."""

    running = Bundle("running")
    server: Server

    @initialize(a=TERMS, b=TERMS, owner=TERMS, everybody=TERMS, strict=st.booleans())
    def begin(self, a: Any, b: Any, owner: Any, everybody: Any, *, strict: bool) -> None:
        self.server.client.flushall()
        self.local, self.now_us, self.day, self.asked = Local(), NOW_US, PERIODS.day, 0
        self.in_flight: list[Ask] = []
        self.policies = [
            policy_of(self.local, "a", strict=strict, key=a, owner=owner, all=everybody),
            policy_of(self.local, "b", strict=strict, key=b, owner=owner, all=everybody),
        ]

    @rule(us=st.integers(0, 3 * MINUTE_US))
    def time_passes(self, us: int) -> None:
        while us > 0:
            step = min(us, LEASE_US - 1)
            self.now_us, us = self.now_us + step, us - step
            batch = Batch("twins")
            for ask in self.in_flight:
                batch.renew(ask)
            self.server(batch, self.now_us)

    @rule()
    def midnight_passes(self) -> None:
        self.day += 1

    @rule(target=running, asks=st.lists(ASKS, min_size=1, max_size=4))
    def ask(self, asks: list[tuple[int, int, int, int, bool]]) -> object:
        batch, made = Batch("twins"), []
        for which, input_tokens, output_tokens, hold, counting in asks:
            self.asked += 1
            policy, periods = self.policies[which], periods_of_day(self.day)
            took = (0, 0, 0) if counting else (input_tokens, output_tokens, hold)
            made.append(Ask(f"req_{self.asked}", policy, periods, *took, counting))
            batch.admit(made[-1])
        grants = []
        for ask, reply in zip(made, self.server(batch, self.now_us), strict=True):
            shared, local = verdict_of(ask, reply), self.local.admit(ask, self.now_us)
            assert _facts(shared) == _facts(local)
            assert shared.readings is not None
            assert _numbers(shared.readings) == _numbers(
                self.local.read(ask.policy, ask.periods, self.now_us)
            )
            if isinstance(local, Grant) and not ask.counting:
                grants.append(local)
                self.in_flight.append(ask)
        return multiple(*grants)

    @rule(grant=consumes(running), used=st.tuples(TOKENS, TOKENS, MICROS))
    def settle(self, grant: Grant, used: tuple[int, int, int]) -> None:
        batch = Batch("twins")
        batch.settle(grant, *used, self.now_us)
        if len(batch):
            self.server(batch, self.now_us)
        self.local.settle(grant, *used)
        self.in_flight.remove(grant.ask)

    @rule(
        which=st.sampled_from(["key a", "owner team-a", "global"]), spent=st.tuples(MICROS, MICROS)
    )
    def the_ledger_knows_more(self, which: str, spent: tuple[int, int]) -> None:
        batch, periods = Batch("twins"), periods_of_day(self.day)
        batch.raise_spent(which, periods.day_name, spent[0], self.now_us - 1)
        batch.raise_spent(which, periods.month_name, spent[1], self.now_us - 1)
        self.server(batch, self.now_us)
        self.local.raise_spent({which: Spent(*spent)}, periods)

    @invariant()
    def both_have_counted_the_same(self) -> None:
        for policy in getattr(self, "policies", ()):
            batch, periods = Batch("twins"), periods_of_day(self.day)
            batch.read(policy, periods)
            (told,) = self.server(batch, self.now_us)
            assert _numbers(readings_of(policy.subjects, told)) == _numbers(
                self.local.read(policy, periods, self.now_us)
            )


@pytest.mark.no_cover
def test_both_say_and_keep_the_same(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        machine = type("Twins", (Twins,), {"server": Server(client)})
        run_state_machine_as_test(machine, settings=settings(stateful_step_count=30))
