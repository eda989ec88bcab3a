"""What only a server can meet: leases that end, fields that are lost, terms that differ in one batch."""

from typing import Any, NamedTuple

import pytest

from proxy.limits.batch import LEASE_US, Batch, readings_of, unknown_of, verdict_of
from proxy.limits.local import Local
from proxy.limits.periods import periods_of_day
from proxy.limits.policy import Policy
from proxy.limits.script import SCRIPT
from proxy.limits.verdict import Ask, Grant, Reading, Refusal, Rule
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import NOW_US, PERIODS, policy_of

HASH, LEASES = "{ar:one}:s:key laptop", "{ar:one}:l:key laptop"


class Counts:
    """A server's, at a time that the test tells."""

    def __init__(self, server: RedisServer) -> None:
        self.client = server.client()
        self._run = self.client.register_script(SCRIPT)
        self.now_us = NOW_US
        self._asked = 0

    def call(self, batch: Batch) -> list[Any]:
        keys, body = batch.render(self.now_us)
        told_us, replies = self._run(keys=keys, args=[body])
        assert told_us == self.now_us
        return list(replies)

    def admit(
        self, policy: Policy, input_tokens: int = 1, output_tokens: int = 1, hold_micros: int = 0
    ) -> Grant | Refusal:
        self._asked += 1
        took = (input_tokens, output_tokens, hold_micros)
        ask, batch = Ask(f"req_{self._asked}", policy, PERIODS, *took), Batch("one")
        batch.admit(ask)
        (reply,) = self.call(batch)
        self.unknown = unknown_of(policy.subjects, reply)
        return verdict_of(ask, reply)

    def granted(self, policy: Policy, *took: int) -> Grant:
        verdict = self.admit(policy, *took)
        assert isinstance(verdict, Grant), verdict
        return verdict

    def settle(self, grant: Grant, input_tokens: int, output_tokens: int, micros: int) -> None:
        batch = Batch("one")
        batch.settle(grant, input_tokens, output_tokens, micros, self.now_us)
        self.call(batch)

    def renew(self, grant: Grant) -> None:
        batch = Batch("one")
        batch.renew(grant.ask)
        self.call(batch)

    def read(self, policy: Policy) -> Reading:
        batch = Batch("one")
        batch.read(policy, PERIODS)
        (told,) = self.call(batch)
        return readings_of(policy.subjects, told)[0]


@pytest.fixture
def counts(redis_server: RedisServer) -> Any:
    made = Counts(redis_server)
    yield made
    made.client.close()


def test_a_stream_that_is_renewed_keeps_its_slot_for_ever(counts: Counts) -> None:
    policy = policy_of(Local(), key={"max_in_flight": 1})
    grant = counts.granted(policy)
    for _ in range(10):
        counts.now_us += LEASE_US - 1
        counts.renew(grant)
        assert isinstance(counts.admit(policy), Refusal)
        assert counts.read(policy).in_flight == 1


def test_a_request_whose_process_has_died_gives_slot_and_hold_back_with_its_lease(
    counts: Counts,
) -> None:
    policy = policy_of(Local(), key={"max_in_flight": 1, "day_micros": 10})
    orphan = counts.granted(policy, 1, 1, 10)
    counts.now_us += LEASE_US - 1
    assert isinstance(counts.admit(policy, 1, 1, 1), Refusal)
    counts.now_us += 1
    reading = counts.read(policy)
    assert (reading.in_flight, reading.held_micros) == (0, 0)
    counts.renew(orphan)  # too late: what has ended stays ended
    assert counts.read(policy).in_flight == 0
    counts.granted(policy, 1, 1, 10)


def test_what_settles_after_its_lease_has_cost_its_money_and_gives_nothing_back_twice(
    counts: Counts,
) -> None:
    policy = policy_of(Local(), key={"max_in_flight": 2, "day_micros": 100})
    late = counts.granted(policy, 1, 1, 30)
    counts.now_us += LEASE_US
    counts.granted(policy, 1, 1, 7)
    counts.settle(late, 1, 1, 25)
    reading = counts.read(policy)
    assert (reading.in_flight, reading.held_micros, reading.day_micros) == (1, 7, 25)


@pytest.mark.parametrize("field", ["r", "c", "i", "o", "h"])
def test_a_lost_field_is_at_worst_a_full_bucket_and_held_heals(counts: Counts, field: str) -> None:
    terms = {
        "requests_per_minute": 3,
        "input_tokens_per_minute": 3,
        "output_tokens_per_minute": 3,
        "day_micros": 30,
    }
    policy = policy_of(Local(), key=terms)
    for _ in range(2):
        counts.granted(policy, 1, 1, 10)
    counts.client.hdel(HASH, field)
    admitted = 0
    while isinstance(counts.admit(policy, 1, 1, 1), Grant):
        admitted += 1
    assert admitted == 1  # the other buckets, and the leases, still know
    assert counts.read(policy).held_micros == 21


def test_an_emptied_server_says_that_it_knew_nothing_of_a_budget(counts: Counts) -> None:
    policy = policy_of(Local(), key={"day_micros": 10}, owner={"max_in_flight": 9})
    counts.granted(policy, 1, 1, 1)
    assert counts.unknown == ["key laptop"]
    counts.granted(policy, 1, 1, 1)
    assert counts.unknown == []
    counts.client.flushall()
    counts.granted(policy, 1, 1, 1)
    assert counts.unknown == ["key laptop"]


def test_what_the_ledger_knows_raises_and_never_lowers_or_doubles(counts: Counts) -> None:
    policy = policy_of(Local(), key={"day_micros": 100})
    for known in (30, 30, 20):
        batch = Batch("one")
        batch.raise_spent("key laptop", PERIODS.day_name, known, counts.now_us)
        counts.call(batch)
    assert counts.read(policy).day_micros == 30


class Late(NamedTuple):
    """A request of 7 that ended and was told late, when the ledger had told of 30.

    Attributes:
        ended_us: when it ended, seen from when the ledger knew.
        known: what had been counted by then.
        counted: what is counted in the end.
    """

    ended_us: int
    known: int
    counted: int


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(Late(-1, 0, 30), id="before, and told by the ledger"),
        pytest.param(Late(0, 0, 30), id="just then, and told by the ledger or the next time"),
        pytest.param(Late(1, 0, 37), id="after"),
        pytest.param(Late(-1, 30, 37), id="before, and the ledger told nothing new"),
    ],
)
def test_what_the_ledger_may_have_told_already_is_not_counted_again(
    counts: Counts, late: Late
) -> None:
    policy = policy_of(Local(), key={"day_micros": 100, "max_in_flight": 2})
    counts.settle(counts.granted(policy, 1, 1, 30), 1, 1, late.known)
    grant, batch = counts.granted(policy, 1, 1, 7), Batch("one")
    batch.raise_spent("key laptop", PERIODS.day_name, 30, counts.now_us)
    counts.call(batch)
    batch = Batch("one")
    batch.settle(grant, 1, 1, 7, counts.now_us + late.ended_us)
    counts.call(batch)
    reading = counts.read(policy)
    assert (reading.day_micros, reading.month_micros) == (late.counted, late.known + 7)
    assert (reading.in_flight, reading.held_micros) == (0, 0)


@pytest.mark.parametrize("was_let_in", [True, False])
def test_who_was_let_in_elsewhere_is_counted_once_whether_the_server_had_let_it_in_or_not(
    counts: Counts, *, was_let_in: bool
) -> None:
    terms = {
        "requests_per_minute": 6,
        "input_tokens_per_minute": 6,
        "max_in_flight": 3,
        "day_micros": 99,
    }
    policy = policy_of(Local(), key=terms)
    ask, batch = Ask("req_1", policy, PERIODS, 2, 1, 30), Batch("one")
    if was_let_in:
        batch.admit(ask)
    batch.follow(Grant(ask))
    batch.follow(Grant(ask))
    counts.call(batch)
    reading = counts.read(policy)
    assert (reading.in_flight, reading.held_micros) == (1, 30)
    assert (reading.requests_us, reading.input_us) == (10_000_000, 20_000_000)
    counts.settle(Grant(ask), 1, 1, 25)
    reading = counts.read(policy)
    assert (reading.in_flight, reading.held_micros, reading.day_micros) == (0, 0, 25)
    assert (reading.requests_us, reading.input_us) == (10_000_000, 10_000_000)


def test_periods_long_past_are_dropped(counts: Counts) -> None:
    for day in range(20_000, 20_012):
        batch = Batch("one")
        batch.raise_spent("key laptop", periods_of_day(day).day_name, 5, counts.now_us)
        counts.call(batch)
    assert set(counts.client.hkeys(HASH)) == {b"d20010", b"d20011", b"ad20010", b"ad20011"}


def test_two_terms_of_one_subject_in_a_batch_count_together(counts: Counts) -> None:
    """An edit is under way: some requests still have the old limits."""
    local = Local()
    old = policy_of(local, key={"max_in_flight": 3})
    new = policy_of(local, key={"max_in_flight": 2})
    batch = Batch("one")
    asks = [Ask(f"req_{n}", policy, PERIODS) for n, policy in enumerate((old, new, new, old, old))]
    for ask in asks:
        batch.admit(ask)
    verdicts = [verdict_of(ask, reply) for ask, reply in zip(asks, counts.call(batch), strict=True)]
    assert [isinstance(each, Grant) for each in verdicts] == [True, True, False, True, False]


def test_large_amounts_stay_exact(counts: Counts) -> None:
    policy = policy_of(Local(), key={"month_micros": 10**15})
    amount = 123_456_789_012_345
    counts.settle(counts.granted(policy, 1, 1, amount), 1, 1, amount)
    counts.settle(counts.granted(policy, 1, 1, 1), 1, 1, 1)
    assert counts.read(policy).month_micros == amount + 1


def test_the_servers_clock_is_in_microseconds(counts: Counts) -> None:
    policy = policy_of(Local(), key={"requests_per_minute": 60})
    for wait_us in (0, 1_000_000):
        batch = Batch("one")
        ask = Ask("req_1", policy, PERIODS)
        batch.admit(ask)
        keys, body = batch.render()
        counts.client.eval(SCRIPT, len(keys), *keys, body)
        seconds, micros = counts.client.time()
        full_us = int(counts.client.hget(HASH, "r") or 0) - (seconds * 1_000_000 + micros)
        assert wait_us < full_us <= wait_us + 1_000_000


def test_what_is_kept_ends_by_itself(counts: Counts) -> None:
    counts.granted(policy_of(Local(), key={"max_in_flight": 3}))
    assert counts.client.ttl(HASH) == 45 * 86_400
    assert counts.client.ttl(LEASES) == 3600


def test_keys_have_one_hash_tag_so_that_a_cluster_keeps_them_together() -> None:
    batch = Batch("one")
    batch.admit(
        Ask("req_1", policy_of(Local(), key={"max_in_flight": 3}, all={"day_micros": 1}), PERIODS)
    )
    keys, _ = batch.render()
    assert keys == [HASH, LEASES, "{ar:one}:s:global", "{ar:one}:l:global"]


def test_a_refusal_and_an_admission_tell_what_is_left(counts: Counts) -> None:
    policy = policy_of(Local(), key={"max_in_flight": 1})
    assert counts.granted(policy).readings is not None
    refused = counts.admit(policy)
    assert isinstance(refused, Refusal)
    assert refused.rule is Rule.IN_FLIGHT
    assert refused.readings is not None
    assert refused.readings[0].in_flight == 1
