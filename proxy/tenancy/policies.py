"""What holds for each key: of configuration, store or host, around counters that outlive every edit."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from proxy.config import Budgets, Config, Key, Owner, RateLimits
from proxy.limits.local import Local, Spent
from proxy.limits.policy import Policy, Subject, policy, subject

if TYPE_CHECKING:
    from proxy.store.spent import Spent as StoredSums

GLOBAL = "global"


def spent_by_subject(sums: "StoredSums") -> dict[str, Spent]:
    """Return what the ledger knows as spent, by the names of subjects: of keys, of owners, of all."""
    days: dict[str, int] = {}
    months: dict[str, int] = {}
    for found, by_key in ((days, sums.of_day), (months, sums.of_month)):
        for (key, owner), micros in by_key.items():
            for name in (f"key {key}", f"owner {owner}" if owner else None, GLOBAL):
                if name is not None:
                    found[name] = found.get(name, 0) + micros
    return {name: Spent(days.get(name, 0), micros) for name, micros in months.items()}


def _bounds(key: Key) -> tuple[str | None, RateLimits | None, Budgets | None]:
    return key.owner, key.limits, key.budgets


class Policies:
    """The policies of keys, made when they are first asked for.

    Args:
        config: whose quota and owners hold; its owners come before the store's.
        local: has the counters.
    """

    def __init__(self, config: Config, local: Local) -> None:
        self._local = local
        self._made: dict[str, tuple[Key, Policy]] = {}
        self._owner_subjects: dict[str, Subject] = {}
        self.change(config, {})

    def change(self, config: Config, managed_owners: Mapping[str, Owner]) -> None:
        """Let another configuration hold; what was counted stays."""
        self._quota = quota = config.quota
        self._configured = {owner.name: owner for owner in config.owners}
        self._global = self._subject(GLOBAL, quota.global_limits, quota.global_budgets)
        self.forget(managed_owners)

    def of(self, key: Key) -> Policy:
        """Return what holds for a key. One of a host may say something else each time."""
        made = self._made.get(key.name)
        if made is None or (made[0] is not key and _bounds(made[0]) != _bounds(key)):
            made = self._made[key.name] = (key, self._make(key))
        return made[1]

    def seen(self) -> list[Key]:
        """Return the keys that were asked for, those of the host among them."""
        return [key for key, _ in self._made.values()]

    def budgeted(self, keys: Iterable[Key]) -> set[str]:
        """Return the names of the subjects that have a budget, of some keys and of those that were asked for."""
        for key in keys:
            self.of(key)
        subjects = (each for _, policy in self._made.values() for each in policy.subjects)
        return {each.name for each in subjects if each.has_budget}

    def knows(self, owner: str | None) -> bool:
        """Return whether an owner that a key names is there; a key may have none."""
        return owner is None or owner in self._owners

    def forget(self, managed_owners: Mapping[str, Owner]) -> None:
        """Make every policy anew when it is next asked for, since keys or owners of the store have changed."""
        self._owners = {**managed_owners, **self._configured}
        self._owner_subjects.clear()
        self._made.clear()

    def _make(self, key: Key) -> Policy:
        quota = self._quota
        limits = quota.each_key_limits if key.limits is None else key.limits
        budgets = quota.each_key_budgets if key.budgets is None else key.budgets
        own = self._subject(f"key {key.name}", limits, budgets)
        strict = quota.hold == "worst"
        return policy(key.name, own, self._of_owner(key.owner), self._global, strict=strict)

    def _of_owner(self, name: str | None) -> Subject | None:
        if name is None or (owner := self._owners.get(name)) is None:
            return None
        made = self._owner_subjects.get(name)
        if made is None:
            made = self._subject(f"owner {name}", owner.limits, owner.budgets)
            self._owner_subjects[name] = made
        return made

    def _subject(self, name: str, limits: RateLimits, budgets: Budgets) -> Subject:
        return subject(
            name,
            self._local.counters(name),
            requests_per_minute=limits.requests_per_minute,
            input_tokens_per_minute=limits.input_tokens_per_minute,
            output_tokens_per_minute=limits.output_tokens_per_minute,
            max_in_flight=limits.max_in_flight,
            limits_fail=limits.fail,
            limits_shadow=limits.shadow,
            day_micros=budgets.day_micros,
            month_micros=budgets.month_micros,
            budgets_fail=budgets.fail,
            budgets_shadow=budgets.shadow,
        )
