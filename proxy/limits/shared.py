"""Limits and budgets that several processes count together, in Redis or Valkey.

A request touches no connection: it puts what it asks into a list and waits for a future. One task sends what has
gathered as one call of the script, and while that is out the next gathers: load makes calls larger, and cheaper. What
needs no reply rides along. A client that leaves cancels a future, never a half-read reply.

This process counts all that it lets in by itself as well. While the server does not answer, that is what holds.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any

from proxy.errors import LimitsUnavailable
from proxy.limits.batch import Batch, readings_of, unknown_of, verdict_of
from proxy.limits.breaker import Breaker
from proxy.limits.following import Following
from proxy.limits.gathering import Add, Gathering
from proxy.limits.local import Local, Spent
from proxy.limits.periods import Periods
from proxy.limits.policy import Policy
from proxy.limits.server import Server, Unanswered, now_us
from proxy.limits.verdict import Ask, Grant, Reading, Refusal

_log = logging.getLogger(__name__)
_DEFECT = "a defect of the shared limits; what it concerns is counted here alone"
_RENEW_S = 10
_RIDE_S = 0.005
_PROBE_S = 1
_MOST_IN_A_CALL = 128


class Shared:
    """The counts of all processes.

    Args:
        server: where they are.
        local: what this process counts.
        on_unknown: has the ledger asked, since the server knows nothing of some subjects with a budget, or, when none
            are named, not what was spent in an outage.
    """

    def __init__(
        self, server: Server, local: Local, on_unknown: Callable[[list[str]], None]
    ) -> None:
        self._server = server
        self._local = local
        self._on_unknown = on_unknown
        self._breaker = Breaker()
        self._gathered = Gathering()
        self._following = Following(self._gathered, self._soon)
        self._wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: set[Grant] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def in_outage(self) -> bool:
        """Whether this process counts alone."""
        return self._breaker.is_open

    async def open(self) -> None:
        """Connect; when that fails, begin as in an outage."""
        await self._server.open()
        await self._probe()
        if not self._breaker.is_open:
            await self._server.examine()
        self._wanted.set()
        self._tasks = [asyncio.create_task(self._send_all()), asyncio.create_task(self._renew())]

    async def close(self) -> None:
        """Send what waits, within the time of one call, and disconnect."""
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._gathered.forget_riders()
        while self._gathered and not self._breaker.is_open:
            await self._send()
        await self._server.close()

    async def admit(self, ask: Ask) -> Grant | Refusal:
        """Let a request in, or say why not.

        Raises:
            LimitsUnavailable: the server does not answer, and one of the key's subjects fails closed.
        """
        if not ask.policy.subjects:
            return Grant(ask)
        if self._breaker.is_open:
            return self._alone(ask)
        answer = self._ask(methodcaller("admit", ask), functools.partial(self._verdict, ask))
        try:
            verdict: Grant | Refusal | None = await answer
        except asyncio.CancelledError:
            # The client left: what came just then is given back; later `_send` does so, if its reply is not lost.
            if answer.cancelled() or answer.result() is None:
                self._following.tell(ask, None)
            elif isinstance(answer.result(), Grant):
                self.cancel(answer.result())
            raise
        return self._unanswered(ask) if verdict is None else verdict

    def settle(self, grant: Grant, input_tokens: int, output_tokens: int, micros: int) -> None:
        """Count what a request really used, where it was let in; a second time is nothing."""
        if grant.settled:
            return
        self._local.settle(grant, input_tokens, output_tokens, micros)
        if grant in self._in_flight:
            self._in_flight.remove(grant)
            self._following.settle(grant, (input_tokens, output_tokens), micros, now_us())

    def cancel(self, grant: Grant) -> None:
        """Give back all but the request itself: nothing was sent."""
        self.settle(grant, 0, 0, 0)

    def raise_spent(self, spent: Mapping[str, Spent], periods: Periods, known_us: int) -> None:
        """Raise what was spent to what the ledger knew at a moment, by subject, where that is more."""
        self._local.raise_spent(spent, periods)
        if self._breaker.is_open:  # when the outage is over, the ledger is asked anew
            return
        for name, each in spent.items():
            sums = ((periods.day_name, each.day_micros), (periods.month_name, each.month_micros))
            for period, micros in sums:
                add = methodcaller("raise_spent", name, period, micros, known_us)
                self._gathered.raise_spent(name, period, add)
        self._wanted.set()

    async def read(self, policy: Policy, periods: Periods) -> tuple[Reading, ...]:
        """Return what a policy's subjects have used."""
        told: tuple[Reading, ...] | None = None
        if not self._breaker.is_open:
            read = functools.partial(readings_of, policy.subjects)
            told = await self._ask(methodcaller("read", policy, periods), read)
        return self._local.read(policy, periods, now_us()) if told is None else told

    def _alone(self, ask: Ask) -> Grant | Refusal:
        """Decide by what this process counts."""
        if ask.policy.budgets_closed and ask.hold_micros:
            raise LimitsUnavailable(budget=True)
        if ask.policy.limits_closed:
            raise LimitsUnavailable
        return self._local.admit(ask, now_us())

    def _unanswered(self, ask: Ask) -> Grant | Refusal:
        """Decide so, and tell the server, which may have let it in all the same, or may have heard nothing of it."""
        verdict: Grant | Refusal | None = None
        try:
            verdict = self._alone(ask)
            if isinstance(verdict, Grant) and not ask.counting:
                self._in_flight.add(verdict)
        finally:
            self._following.tell(ask, verdict)
        return verdict

    def _verdict(self, ask: Ask, reply: Any) -> Grant | Refusal:
        verdict = verdict_of(ask, reply)
        if verdict.readings is not None:
            self._local.learn(verdict.readings, ask.periods)
        if isinstance(verdict, Grant):
            self._local.follow(verdict, now_us())
            if not ask.counting:
                self._in_flight.add(verdict)
        if unknown := unknown_of(ask.policy.subjects, reply):
            self._on_unknown(unknown)
        return verdict

    def _ask(self, add: Add, read: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        """Ask at once, and return who gets the answer."""
        self._wanted.set()
        return self._gathered.ask(add, read)

    def _soon(self) -> None:
        """Send what was put with what is asked next, and within a few milliseconds."""
        if self._breaker.is_open:
            self._gathered.bound()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_RIDE_S, self._ride)

    def _ride(self) -> None:
        self._timer = None
        self._wanted.set()

    async def _send_all(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._gathered and not self._breaker.is_open:
                await self._send()
            while self._breaker.is_open:
                await asyncio.sleep(_PROBE_S)
                self._gathered.forget_old()
                self._gathered.forget_riders()
                await self._probe()
                self._wanted.set()

    async def _probe(self) -> None:
        """Ask for nothing; with more patience than a request has."""
        try:
            await self._server.call(Batch(self._server.name, self._server.clock), _PROBE_S)
        except Unanswered as error:
            self._breaker.trip(error)
        except Exception as error:  # noqa: BLE001 - logged with its traceback; whoever sends must go on
            _log.exception(_DEFECT)
            self._breaker.trip(error)
        else:
            if self._breaker.is_open:
                # What was spent meanwhile is known to the ledger only.
                self._on_unknown([])
            self._breaker.succeeded()

    async def _send(self) -> None:
        """Send the next that wait, and tell who waits for an answer."""
        sent = self._gathered.take(_MOST_IN_A_CALL)
        if not sent:
            return
        batch = Batch(self._server.name, self._server.clock)
        try:
            numbers = [each.put_into(batch) for each in sent]
            replies = await self._server.call(batch)
            results = [each.result(replies, n) for each, n in zip(sent, numbers, strict=True)]
        except Exception as error:  # noqa: BLE001 - a defect is logged as one; nobody may wait for ever
            for each in sent:
                each.give_up()
            if isinstance(error, Unanswered):
                self._breaker.failed(error)
                self._gathered.give_up()
                await asyncio.sleep(0)  # all whose verdict is lost tell what they do first
            else:
                _log.exception(_DEFECT)
            return
        self._breaker.succeeded()
        for operation, result in zip(sent, results, strict=True):
            if operation.answer is not None and not operation.answer.cancelled():
                operation.answer.set_result(result)
            elif isinstance(result, Grant):
                self.cancel(result)

    async def _renew(self) -> None:
        """Keep the leases of all that is in flight."""
        while True:
            await asyncio.sleep(_RENEW_S)
            if not self._breaker.is_open:
                for grant in self._in_flight:
                    self._gathered.renew(grant.ask.id, methodcaller("renew", grant.ask))
                self._wanted.set()
