"""May this request begin? What it would take is estimated here, and asked of the counters."""

import asyncio
import functools
import time
from collections.abc import Mapping

from proxy.config import Config, Key, Owner
from proxy.errors import LimitsUnavailable
from proxy.exchange import Exchange, Phase
from proxy.limits import wording
from proxy.limits.local import Local
from proxy.limits.periods import Periods, periods_at
from proxy.limits.policy import Counters, Policy
from proxy.limits.queue import Queue
from proxy.limits.shared import Shared
from proxy.limits.verdict import Ask, Grant, Metric, Reading, Refusal
from proxy.money import estimate
from proxy.money.estimate import InputRatio
from proxy.money.prices import PriceTable
from proxy.money.usage import Billed
from proxy.received import COUNT_TOKENS
from proxy.tenancy.policies import Policies

# How long a request waits, at the start, for what was spent before.
_SUMS_WITHIN_S = 2.0
# How often those who wait look for slots that other processes have freed.
_OTHERS_SLOTS_S = 0.1


class Admission:
    """Lets requests in, or refuses them.

    Args:
        config: says how much is reserved, and how long a request waits.
        prices: what is held of a budget.
        local: the counters of this process.
        shared: those of all processes; None: this one is alone.

    Attributes:
        policies: what holds for each key.
        sums_known: set once the counters hold what the ledger knows.
    """

    def __init__(
        self, config: Config, prices: PriceTable, local: Local, shared: Shared | None = None
    ) -> None:
        self._shared = shared
        self._local = local
        self._ratios: dict[str, InputRatio] = {}
        self._queue: Queue | None = None
        self.policies = Policies(config, local)
        self.change(config, prices, {})
        self.sums_known = asyncio.Event()
        self._sums_by_s = 0.0

    def change(
        self, config: Config, prices: PriceTable, managed_owners: Mapping[str, Owner]
    ) -> None:
        """Let another configuration and other prices hold for the requests that begin from now on."""
        self._quota = config.quota
        self._prices = prices
        self.policies.change(config, managed_owners)
        # Once there, it stays for those who wait in it.
        if config.quota.queue_s and self._queue is None:
            self._queue = Queue(self._try, 0.0 if self._shared is None else _OTHERS_SLOTS_S)

    def ratio(self, key: str) -> InputRatio:
        """Return what was learned of a key's bodies."""
        found = self._ratios.get(key)
        if found is None:
            found = self._ratios[key] = InputRatio()
        return found

    async def admit(self, exchange: Exchange) -> None:
        """Let a request in, with what it takes in `exchange.grant`; without limits and budgets nothing is taken.

        Raises:
            LimitExceeded: too much in a minute, or at once.
            BudgetExceeded: a budget is spent.
            LimitsUnavailable: what was spent is not known, and the budget says that it is then refused.
        """
        key = exchange.key
        if key is None or not (policy := self.policies.of(key)).subjects:
            return
        ask = self._ask(exchange, policy)
        if ask.hold_micros and not self.sums_known.is_set():
            await self._wait_for_sums(policy)
        verdict: Grant | Refusal | None = None
        if self._queue is not None and policy.has_slots and not ask.counting:
            verdict = self._queue.ahead(policy)
        if verdict is None:
            # As `_try`, without a coroutine for each request.
            if self._shared is None:
                verdict = self._local.admit(ask, _now_us())
            else:
                verdict = await self._shared.admit(ask)
        queue = self._queue if exchange.bounds.queue_s else None
        if isinstance(verdict, Refusal) and verdict.metric is Metric.IN_FLIGHT and queue:
            verdict = await self._wait_in_line(queue, exchange, ask, verdict)
        if isinstance(verdict, Refusal):
            readings = verdict.readings or self._local.read(policy, ask.periods, _now_us())
            now_s, contact = time.time(), self._quota.contact
            raise wording.refused(verdict, readings, ask.periods, now_s, contact)
        exchange.grant = verdict
        # From here on nothing is awaited: whoever leaves has a grant that is settled in the end.
        readings = verdict.readings or self._local.read(policy, ask.periods, _now_us())
        now_s = time.time()
        exchange.quota_lines = wording.admitted(readings, ask.periods, now_s, counting=ask.counting)

    async def read(self, key: Key, periods: Periods) -> tuple[Reading, ...]:
        """Return what each subject of a key has used."""
        return await self._read(self.policies.of(key), periods)

    async def _read(self, policy: Policy, periods: Periods) -> tuple[Reading, ...]:
        if self._shared is not None:
            return await self._shared.read(policy, periods)
        return self._local.read(policy, periods, _now_us())

    @property
    def state(self) -> str:
        """Where is counted: `local`, `shared`, or `local_in_outage`."""
        if self._shared is None:
            return "local"
        return "local_in_outage" if self._shared.in_outage else "shared"

    def counters(self, name: str) -> Counters:
        """Return what a subject has used, such as `key laptop`, as this process counts it."""
        return self._local.counters(name)

    def reserved(self, exchange: Exchange) -> Billed:
        """Return what a request is expected to use."""
        key = exchange.key
        ratio = estimate.START_RATIO if key is None else self.ratio(key.name).value
        reserve = self._quota.output_reserve_tokens
        return estimate.expected(exchange.body_bytes, exchange.max_tokens or 0, reserve, ratio)

    def settle(self, grant: Grant, input_tokens: int, output_tokens: int, micros: int) -> None:
        """Count what a request has used in place of what it took, and let the next one in; as `Local.settle`."""
        counts = self._local if self._shared is None else self._shared
        counts.settle(grant, input_tokens, output_tokens, micros)
        if self._queue is not None:
            self._queue.wake()

    def begin(self) -> None:
        """Let requests wait from now on, for two seconds in all, for what was spent before."""
        self._sums_by_s = time.monotonic() + _SUMS_WITHIN_S

    async def _wait_for_sums(self, policy: Policy) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._sums_by_s - time.monotonic())):
                await self.sums_known.wait()
        except TimeoutError:
            if policy.budgets_closed:
                raise LimitsUnavailable(budget=True) from None

    async def _wait_in_line(
        self, queue: Queue, exchange: Exchange, ask: Ask, refusal: Refusal
    ) -> Grant | Refusal:
        began_s = time.monotonic()
        try:
            return await queue.enter(ask, refusal, functools.partial(exchange.waiting, Phase.QUEUE))
        finally:
            queued_s = time.monotonic() - began_s
            exchange.queued_ms = round(queued_s * 1000)
            exchange.waited_s += queued_s

    async def _try(self, ask: Ask) -> Grant | Refusal:
        if self._shared is not None:
            return await self._shared.admit(ask)
        return self._local.admit(ask, _now_us())

    def _ask(self, exchange: Exchange, policy: Policy) -> Ask:
        periods = periods_at(int(exchange.received.at_unix_s * 1000))
        if exchange.endpoint == COUNT_TOKENS:
            return Ask(exchange.received.id, policy, periods, counting=True)
        likely = self.reserved(exchange)
        input_tokens, output_tokens = likely.counted_input, likely.output
        # A request that is larger than a whole limit could otherwise never pass.
        if policy.least_input:
            input_tokens = min(input_tokens, policy.least_input)
        if policy.least_output:
            output_tokens = min(output_tokens, policy.least_output)
        hold_micros = self._hold(exchange, likely) if policy.has_budget else 0
        return Ask(exchange.received.id, policy, periods, input_tokens, output_tokens, hold_micros)

    def _hold(self, exchange: Exchange, likely: Billed) -> int:
        route = exchange.route
        if route is None:
            return 0
        if self._quota.hold == "worst":
            likely = estimate.worst(exchange.body_bytes, exchange.max_tokens or 0)
        modifiers = self._prices.modifiers(route.upstream, speed=exchange.speed, geo=exchange.geo)
        return self._prices.find(None, route.native).cost_micros(likely, modifiers)


def _now_us() -> int:
    return time.monotonic_ns() // 1000
