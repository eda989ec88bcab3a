"""Looks again and again at what alerts are made of, and has those delivered that no other gateway has told of."""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import AsyncIterator, Mapping

import msgspec
import sqlalchemy as sa
from aiohttp import web

from proxy.access.records import Changes
from proxy.admin import alerts, upstreams
from proxy.admin.alerts import Alert
from proxy.admin.context import CONTEXT, AdminContext, now_ms
from proxy.admin.cooling import BACK, COOLS, Cooling, Identity
from proxy.admin.deliver import TRIES_AFTER_MS, Outbox
from proxy.admin.state import WORKERS
from proxy.admin.workers import Workers
from proxy.config import Budgets
from proxy.errors import StoreUnavailable, WorkerUnavailable
from proxy.ledger.ledger import Status
from proxy.money.prices import UNKNOWN
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.store import alerts as stored
from proxy.store import changes
from proxy.store.engine import reading
from proxy.store.spent import spent
from proxy.tenancy.policies import GLOBAL, spent_by_subject

_log = logging.getLogger("anyrouter")

EVERY_MS = 15_000
_STEP_S = 5.0
_MOST_KNOWN = 10_000
# A claim whose maker has made all its tries.
STALE_MS = TRIES_AFTER_MS[-1] + 300_000


class Rounds:
    """The alerts of one process. The time is passed in.

    Args:
        context: has the configuration and the store.
        workers: know of the upstreams, and of rows that wait.
        machine: its name.
    """

    def __init__(self, context: AdminContext, workers: Workers, machine: str) -> None:
        self._context = context
        self._workers = workers
        self._machine = machine
        self._cooling = Cooling()
        self._outbox = Outbox(context.receivers_silent)
        self._managed = _Managed()
        # When to ask again whether an alert is ours: it never is once it was.
        self._asked: dict[Identity, float] = {}
        self._next_ms = 0
        self._store_down = ""

    async def step(self, at_ms: int) -> None:
        """Look, when that is due, and deliver what is due; nothing, while nobody wants to be told."""
        receivers = self._context.config.alerts.to
        if receivers and at_ms >= self._next_ms:
            self._next_ms = at_ms + EVERY_MS
            for alert in await self._found(at_ms):
                if await self._is_ours(alert, at_ms) and not self._outbox.add(
                    alert, receivers, at_ms
                ):
                    await self._settle(alert, at_ms)
        for alert in await self._outbox.deliver(receivers, at_ms):
            await self._settle(alert, at_ms)

    async def _found(self, at_ms: int) -> list[Alert]:
        found: list[Alert] = []
        try:
            found += await self._of_store(at_ms)
            self._store_down = ""
        except StoreUnavailable as error:
            if not self._store_down:
                _log.warning(
                    "alerts of budgets, sessions and models wait for the store: %s",
                    error.message,
                    extra=notice(Event.ALERTS_WAIT),
                )
            self._store_down = error.message
        found += await self._of_ledgers(at_ms)
        with contextlib.suppress(WorkerUnavailable):
            told = upstreams.told(await self._workers.upstreams())
            merged = upstreams.merged(told, at_ms)
            found += self._cooling.look(merged, await self._sent(at_ms), at_ms)
        return found

    async def _of_store(self, at_ms: int) -> list[Alert]:
        if self._context.engine is None:
            return []
        ask = self._context.ask
        sums = spent_by_subject(await ask(lambda engine: spent(engine, at_ms)))
        return [
            *alerts.of_budgets(sums, await self._budgets(), at_ms),
            *(await self._of_sessions(at_ms) if self._context.shows_sessions else ()),
            *alerts.of_unpriced(
                await ask(lambda engine: stored.unpriced_models(engine, at_ms, UNKNOWN)), at_ms
            ),
        ]

    async def _of_sessions(self, at_ms: int) -> list[Alert]:
        over = self._context.config.alerts.session_micros_in_10_min
        ask = self._context.ask
        return alerts.of_sessions(
            await ask(lambda engine: stored.dear_sessions(engine, at_ms, over)),
            await ask(lambda engine: stored.fanned_out(engine, at_ms, alerts.NEW_AGENTS)),
            over,
            at_ms,
        )

    async def _budgets(self) -> Mapping[str, Budgets]:
        """Return the budgets of all keys and owners, and that of all together."""
        config = self._context.config
        await self._context.ask(self._follow)
        each_key = config.quota.each_key_budgets
        keys = {**self._managed.keys, **{key.name: key.budgets for key in config.keys}}
        owners = {**self._managed.owners, **{each.name: each.budgets for each in config.owners}}
        budgets = {
            GLOBAL: config.quota.global_budgets,
            **{f"owner {name}": each for name, each in owners.items()},
            **{f"key {name}": each_key if each is None else each for name, each in keys.items()},
        }
        return {subject: each for subject, each in budgets.items() if each}

    def _follow(self, engine: sa.Engine) -> None:
        with reading(engine) as connection:
            changed = changes.since(connection, self._managed.seq)
        self._managed.take(changed)

    async def _of_ledgers(self, at_ms: int) -> list[Alert]:
        told = [each[1] for each in await self._workers.ledgers() if each is not None]
        known = [msgspec.convert(each, Status) for each in told if each is not None]
        lost = sum(each.lost_rows for each in known)
        return alerts.of_ledger(self._machine, [each.oldest_ms for each in known], lost, at_ms)

    async def _sent(self, at_ms: int) -> set[Identity]:
        """Return what was told of upstreams today."""
        day = alerts.utc(at_ms)[:10]
        try:
            return await self._context.ask(lambda engine: stored.sent(engine, (COOLS, BACK), day))
        except StoreUnavailable:
            return {each for each in self._asked if each[0] in (COOLS, BACK) and each[2] >= day}

    async def _is_ours(self, alert: Alert, at_ms: int) -> bool:
        """Return whether this process is to send it; without a store that answers, each process is for itself."""
        identity = alert.identity
        if self._asked.get(identity, 0) > at_ms:
            return False
        ours = True
        if self._context.engine is not None:
            with contextlib.suppress(StoreUnavailable):
                ours = await self._context.ask(
                    lambda engine: stored.is_ours(engine, identity, at_ms, STALE_MS)
                )
        if len(self._asked) >= _MOST_KNOWN:
            self._asked.clear()
        self._asked[identity] = math.inf if ours else at_ms + STALE_MS
        return ours

    async def _settle(self, alert: Alert, at_ms: int) -> None:
        if self._context.engine is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._context.ask(lambda engine: stored.settle(engine, alert.identity, at_ms))


class _Managed:
    """The budgets of the store's keys and owners, as far as was read; None of a key: that of each key."""

    def __init__(self) -> None:
        self.seq = 0
        self.keys: dict[str, Budgets | None] = {}
        self.owners: dict[str, Budgets] = {}

    def take(self, changed: Changes) -> None:
        """Learn what has changed."""
        self.seq = changed.seq
        for key in changed.keys:
            self.keys[key.name] = key.budgets if key.deleted_at_ms is None else Budgets()
        for owner in changed.owners:
            self.owners[owner.name] = owner.budgets if owner.deleted_at_ms is None else Budgets()


async def running(app: web.Application) -> AsyncIterator[None]:
    """Look and deliver for as long as the application runs: one of its cleanup contexts."""
    rounds = Rounds(app[CONTEXT], app[WORKERS], socket.gethostname())
    task = asyncio.create_task(_run(rounds))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(rounds: Rounds) -> None:
    while True:
        try:
            await rounds.step(now_ms())
        except Exception:  # noqa: BLE001 - logged with its traceback; the next round may do better
            _log.exception("a round of alerts: a defect")
        await asyncio.sleep(_STEP_S)
