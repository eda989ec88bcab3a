"""Managed keys and owners, as the store keeps them and the admin API shows them. Pure."""

import datetime

import msgspec

from proxy.config import Budgets, Key, Owner, RateLimits

LAST_MS = 253_402_214_400_000
"""The last day that Python's calendar has, as it begins: what is later is as good as never."""
FIRST_MS = -62_135_596_800_000
"""Its first: in a zone of its own, a time can be before that of UTC."""


class Secret(msgspec.Struct, frozen=True):
    """One of a key's secrets, as its SHA-256 in hex; it opens nothing from `not_after_ms` on, when there is one."""

    sha256: str
    not_after_ms: int | None = None


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A managed key. Times are Unix milliseconds.

    Attributes:
        name: its identity, for ever: a deleted key's name is not given again.
        owner: who answers for it; None: nobody but itself.
        models: ids and wildcards it may use.
        limits, budgets: its own; None: those for each key.
        tags: the operator's.
        expires_at_ms: when it stops working; None: never.
        disabled: whether it is refused as an unknown one is.
        deleted_at_ms: None: it is not deleted.
        secrets: the newest first.
    """

    name: str
    owner: str | None = None
    models: tuple[str, ...] = ("*",)
    limits: RateLimits | None = None
    budgets: Budgets | None = None
    tags: dict[str, str] = {}
    expires_at_ms: int | None = None
    disabled: bool = False
    created_at_ms: int = 0
    updated_at_ms: int = 0
    deleted_at_ms: int | None = None
    secrets: tuple[Secret, ...] = ()

    def key_of(self, secret: Secret) -> Key:
        """Return the key that one of its secrets opens, as the gateway knows keys."""
        return Key(
            name=self.name,
            sha256=secret.sha256,
            models=self.models,
            expires_at=_moment(_earlier(self.expires_at_ms, secret.not_after_ms)),
            owner=self.owner,
            limits=self.limits,
            budgets=self.budgets,
            tags=self.tags,
            disabled=self.disabled,
        )


class OwnerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A managed owner; fields as in `KeyRecord`."""

    name: str
    limits: RateLimits = RateLimits()
    budgets: Budgets = Budgets()
    created_at_ms: int = 0
    updated_at_ms: int = 0
    deleted_at_ms: int | None = None

    def owner(self) -> Owner:
        """Return the owner as the configuration has owners."""
        return Owner(self.name, self.limits, self.budgets)


class Changes(msgspec.Struct, frozen=True):
    """What has changed in the store.

    Attributes:
        seq: the number of the last change that is certainly among them.
        keys, owners: as they are now, the deleted ones included.
    """

    seq: int
    keys: tuple[KeyRecord, ...] = ()
    owners: tuple[OwnerRecord, ...] = ()

    @property
    def has_bounds(self) -> bool:
        """Whether any of them has limits or budgets of its own."""
        every: tuple[KeyRecord | OwnerRecord, ...] = (*self.keys, *self.owners)
        return any(each.deleted_at_ms is None and (each.limits or each.budgets) for each in every)


def within_calendar(at_ms: int) -> datetime.datetime:
    """Return a time of Unix milliseconds; of one that Python's calendar has not, the nearest that it has."""
    within_ms = min(max(at_ms, FIRST_MS), LAST_MS)
    return datetime.datetime.fromtimestamp(within_ms / 1000, datetime.UTC)


def _earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    return min((each for each in (one_ms, other_ms) if each is not None), default=None)


def _moment(at_ms: int | None) -> datetime.datetime | None:
    if at_ms is None:
        return None
    return within_calendar(at_ms)
