"""Limits, prices, ledger and managed keys, wired: asked when a request begins, told when it has ended."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from proxy.access.managed_keys import ManagedKeys
from proxy.access.records import Changes
from proxy.config import Config, Prices, Redis
from proxy.exchange import Exchange
from proxy.ledger.ledger import Ledger
from proxy.ledger.row import Row
from proxy.limits.local import Local
from proxy.limits.periods import periods_of_day
from proxy.limits.server import Server
from proxy.limits.shared import Shared
from proxy.money import bill as bills
from proxy.money import price_file
from proxy.money.bill import Bill, UsageSource
from proxy.money.prices import PriceTable
from proxy.notices.events import Event
from proxy.progress import Progress
from proxy.tenancy.admission import Admission
from proxy.tenancy.alone import Alone, unwritable
from proxy.tenancy.facts import facts_of
from proxy.tenancy.first_keys import FirstKeys
from proxy.tenancy.follow import Follower
from proxy.tenancy.policies import spent_by_subject
from proxy.tenancy.remarks import Remarks
from proxy.tenancy.rows import row_of

if TYPE_CHECKING:
    from proxy.store.spent import Spent

_log = logging.getLogger(__name__)

_KILLED = "gateway_killed"
_NOT_BILLED = (Progress.UNSENT, Progress.REFUSED)


def is_wanted(config: Config) -> bool:
    """Return whether a configuration asks for anything of this: without it, its keys pay nothing for it."""
    # Who can be asked what was spent has to know what things cost.
    is_asked = config.store is not None or config.admin is not None
    return is_asked or has_bounds(config) or config.prices != Prices()


def has_bounds(config: Config) -> bool:
    """Return whether anything is limited by the configuration itself."""
    quota = config.quota
    return bool(
        quota.global_limits
        or quota.global_budgets
        or quota.each_key_limits
        or quota.each_key_budgets
        or any(key.limits or key.budgets for key in config.keys)
        or any(owner.limits or owner.budgets for owner in config.owners)
    )


class Tenancy:
    """The observer that bills, settles and records.

    Args:
        config: that `is_wanted`, or of a host whose users may have limits.
        exchanges: those in flight.

    Attributes:
        managed: the keys of the store; None: there is no store.
        prices: of the requests that begin now.
        admission: lets requests in.
        first_keys: whether the keys of the store are still to come.
        ledger: takes the rows; None: there is no store, or it is not open.

    Raises:
        PriceError: the prices cannot be used.
    """

    def __init__(self, config: Config, exchanges: Iterable[Exchange]) -> None:
        self.prices = price_file.configured(config.prices)
        self._store = config.store
        self._exchanges = exchanges
        self._remarks = Remarks()
        self._local = Local()
        self._follower: Follower | None = None
        self._shared = _shared(config.redis, self._local, self._ask_for_sums)
        self._static_keys = config.keys
        self._workers = config.listen.workers
        self._alone = (
            Alone(config.store.state_dir)
            if config.store is not None and config.redis is None and self._workers == 1
            else None
        )
        self.admission = Admission(config, self.prices, self._local, self._shared)
        self._names = frozenset(key.name for key in config.keys)
        self.managed = None if config.store is None else ManagedKeys(time.monotonic, self._names)
        self.ledger: Ledger | None = None
        self.first_keys = FirstKeys(self.managed)

    async def open(self) -> None:
        """Begin to follow the store; it may answer later.

        Raises:
            RuntimeError: nothing can be written in `store.state_dir`, or another process counts for itself there.
        """
        if self._alone is not None:
            await self._alone.acquire()
        if self._shared is not None:
            await self._shared.open()
        if self._store is None:
            self.admission.sums_known.set()
            return
        self.admission.begin()
        try:
            self.ledger = Ledger(self._store, self._take_sums)
        except OSError as error:
            raise unwritable(self._store.state_dir, error) from None
        self.ledger.snapshot_of(self._rows_in_flight)
        self._follower = Follower(self._store.url, self._take_changes, self.first_keys.settle)
        self.first_keys.begin()
        self._follower.open()

    def change(self, config: Config, prices: PriceTable) -> None:
        """Let another configuration, with its prices, hold for what begins from now on; counts and connections stay."""
        self.prices = prices
        self._static_keys = config.keys
        self._names = frozenset(key.name for key in config.keys)
        owners = {}
        if self.managed is not None:
            self.managed.configure(self._names)
            owners = self.managed.owners
        self.admission.change(config, prices, owners)
        if self._follower is not None:
            self._follower.ask_for_all()

    async def close(self) -> None:
        """Store the rows that are left, for three seconds at most; the rest waits on the disk."""
        if self._follower is not None:
            await self._follower.close()
        if self._shared is not None:
            await self._shared.close()
        if self.ledger is not None:
            await self.ledger.close()
        if self._alone is not None:
            self._alone.release()

    def ended(self, exchange: Exchange) -> None:
        """Bill an exchange, settle what it took, and record it. Nothing here waits."""
        if exchange.key is None:
            if exchange.refused_key is not None and self.ledger is not None:
                self.ledger.add(row_of(exchange, Bill(), time.monotonic()))
            return
        bill = exchange.bill = self._bill(exchange)
        grant, counted = exchange.grant, bill.counted_input
        if grant is not None:
            self.admission.settle(grant, counted, bill.output, bill.cost_micros)
        if bill.usage_source is UsageSource.REPORTED:
            self.admission.ratio(exchange.key.name).learn(exchange.body_bytes, counted)
        if self.ledger is not None:
            would = grant.would.rule if grant is not None and grant.would is not None else None
            self.ledger.add(row_of(exchange, bill, time.monotonic(), would))

    def _rows_in_flight(self) -> Iterator[Row]:
        """Yield the rows of what costs something, as they are to be if this process dies now."""
        for exchange in list(self._exchanges):
            if exchange.key is not None and exchange.progress not in _NOT_BILLED:
                row = row_of(exchange, self._bill(exchange), time.monotonic())
                yield msgspec.structs.replace(row, cause=_KILLED, status=None)

    def _bill(self, exchange: Exchange) -> Bill:
        ratio = self.admission.ratio(exchange.key.name).value if exchange.key is not None else 0.0
        try:
            bill = bills.bill(facts_of(exchange, ratio), exchange.prices or self.prices)
        except Exception:  # noqa: BLE001 - a defect of ours: logged with its traceback, and billed as it was reserved
            _log.exception("%s: a defect of the bill", exchange.received.id)
            return self._reserved(exchange)
        for remark in bill.remarks:
            self._remarks.say(remark, Event.BILL_DOUBTED)
        return bill

    def _reserved(self, exchange: Exchange) -> Bill:
        if exchange.max_tokens is None or exchange.progress in _NOT_BILLED:
            return Bill()
        hold = 0 if exchange.grant is None else exchange.grant.ask.hold_micros
        return bills.reserved(self.admission.reserved(exchange), hold)

    def _take_sums(self, spent: "Spent") -> None:
        """Add what was spent before this process began, once."""
        if self._shared is None:
            self._local.seed(spent_by_subject(spent), periods_of_day(spent.day))
        else:
            self._raise(spent)
        self.admission.sums_known.set()

    def _take_changes(self, changes: Changes, spent: "Spent | None") -> None:
        """Take over what has changed of keys and owners; a budget that is new begins with what was spent before."""
        if self.managed is None:
            return
        self.managed.apply(changes)
        self.first_keys.settle()
        if changes.keys or changes.owners:
            self.admission.policies.forget(self.managed.owners)
            for record in changes.keys:
                if record.name in self._names and record.deleted_at_ms is None:
                    self._remarks.say(
                        f"key {record.name} is in the configuration and in the store: that of the store opens nothing",
                        Event.CONFIG_DOUBTED,
                    )
                if record.deleted_at_ms is None and not self.admission.policies.knows(record.owner):
                    self._remarks.say(
                        f"key {record.name} has an owner who is neither in the configuration nor in the store, and so"
                        f" has no limits of one: {record.owner}",
                        Event.OWNER_UNKNOWN,
                    )
            if self._workers > 1 and self._shared is None and changes.has_bounds:
                self._remarks.say(
                    f"keys or owners of the store have limits, and each of {self._workers} workers counts for itself:"
                    " together they let through as many times as much; give `redis`, or one worker",
                    Event.CONFIG_DOUBTED,
                )
        if spent is not None and self.admission.sums_known.is_set():
            self._raise(spent)

    def _raise(self, spent: "Spent") -> None:
        """Raise what was spent of every budget to what the ledger knows: it never knows more than what was settled."""
        keys = [*self._static_keys, *(self.managed.all_keys() if self.managed is not None else ())]
        budgeted = self.admission.policies.budgeted(keys)
        sums = {name: each for name, each in spent_by_subject(spent).items() if name in budgeted}
        periods = periods_of_day(spent.day)
        if self._shared is None:
            self._local.raise_spent(sums, periods)
        else:
            self._shared.raise_spent(sums, periods, spent.known_us)

    def _ask_for_sums(self, _names: list[str]) -> None:
        """Have the ledger asked, since the shared counts know nothing of some subjects."""
        if self._follower is not None:
            self._follower.ask_for_sums()


def _shared(
    redis: Redis | None, local: Local, on_unknown: Callable[[list[str]], None]
) -> Shared | None:
    if redis is None:
        return None
    server = Server(redis.url, redis.name, redis.timeout_ms / 1000)
    return Shared(server, local, on_unknown)
