"""Managed keys in the store: each change in one transaction, with its number and its row in the audit."""

from collections.abc import Callable, Collection
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from proxy.access.records import KeyRecord, Secret
from proxy.store.audit import Auditor
from proxy.store.changes import key_records, next_number
from proxy.store.engine import reading, tried_again
from proxy.store.tables import API_KEY, API_KEY_SECRET, OWNER

_T = TypeVar("_T")


class NameTakenError(Exception):
    """A key of this name is there, or was: a deleted key's name is not given again."""


class UnknownNameError(Exception):
    """There is no such key, or no such owner."""


class UnknownOwnerError(Exception):
    """A key is to get an owner that is not there: a misspelt one would have no budget."""


class Keys:
    """The keys of a store.

    Args:
        engine: of the store, whose tables are up to date.
        actor: whose changes these are, for the audit.
        configured_owners: those that keys may have beside the store's.
    """

    def __init__(
        self, engine: sa.Engine, actor: str, configured_owners: Collection[str] = ()
    ) -> None:
        self._engine = engine
        self._configured_owners = configured_owners
        self._auditor = Auditor(actor)

    def get(self, name: str) -> KeyRecord:
        """Return a key.

        Raises:
            UnknownNameError: there is none, or it is deleted.
        """
        with reading(self._engine) as connection:
            return _existing(connection, name)

    def page(
        self, limit: int, after: str = "", owner: str | None = None, text: str = ""
    ) -> list[KeyRecord]:
        """Return keys by name.

        Args:
            limit: how many at the most.
            after: names up to this one are left out.
            owner: whose; None: anybody's.
            text: that their names hold.
        """
        conditions = [API_KEY.c.deleted_at_ms.is_(None), API_KEY.c.name > after]
        if owner is not None:
            conditions.append(API_KEY.c.owner == owner)
        if text:
            conditions.append(API_KEY.c.name.contains(text, autoescape=True))
        with reading(self._engine) as connection:
            return key_records(connection, *conditions, limit=limit)

    def deleted(self, limit: int) -> set[str]:
        """Return the names of deleted keys, the last of them."""
        query = sa.select(API_KEY.c.name).where(API_KEY.c.deleted_at_ms.is_not(None))
        query = query.order_by(API_KEY.c.deleted_at_ms.desc()).limit(limit)
        with reading(self._engine) as connection:
            return set(connection.scalars(query))

    def create(self, record: KeyRecord, sha256: str, now_ms: int) -> KeyRecord:
        """Add a key with its first secret.

        Raises:
            NameTakenError: its name is taken, or was.
            UnknownOwnerError: its owner is not there.
        """

        def change(connection: sa.Connection, seq: int) -> KeyRecord:
            if key_records(connection, API_KEY.c.name == record.name):
                raise NameTakenError(record.name)
            self._check_owner(connection, record.owner)
            new = msgspec.structs.replace(
                record, created_at_ms=now_ms, updated_at_ms=now_ms, secrets=(Secret(sha256),)
            )
            connection.execute(API_KEY.insert().values(**_values(new), seq=seq))
            _add_secret(connection, new.name, sha256, now_ms)
            self._auditor.note(connection, now_ms, "key.create", None, new)
            return new

        return self._changing(change)

    def update(
        self, name: str, edit: Callable[[KeyRecord], KeyRecord], now_ms: int, action: str = "update"
    ) -> KeyRecord:
        """Change a key, but for its name and its secrets.

        Args:
            name: of the key.
            edit: returns the key as it is to be.
            now_ms: Unix milliseconds.
            action: what the audit calls it.

        Raises:
            UnknownNameError: there is none.
            UnknownOwnerError: its new owner is not there.
        """

        def change(connection: sa.Connection, seq: int) -> KeyRecord:
            before = _existing(connection, name)
            after = msgspec.structs.replace(edit(before), name=name, updated_at_ms=now_ms)
            if after.owner != before.owner:
                self._check_owner(connection, after.owner)
            _write(connection, after, seq)
            self._auditor.note(connection, now_ms, f"key.{action}", before, after)
            return after

        return self._changing(change)

    def rotate(self, name: str, sha256: str, grace_ms: int, now_ms: int) -> KeyRecord:
        """Give a key a new secret; the older ones open it for a while still.

        Args:
            name: of the key.
            sha256: of the new secret.
            grace_ms: for how long; 0: no more at once.
            now_ms: Unix milliseconds.

        Raises:
            UnknownNameError: there is none.
        """

        def change(connection: sa.Connection, seq: int) -> KeyRecord:
            before = _existing(connection, name)
            ours = API_KEY_SECRET.c.key_name == name
            until = now_ms + grace_ms
            ended = API_KEY_SECRET.c.not_after_ms
            connection.execute(
                API_KEY_SECRET.update()
                .where(ours, sa.or_(ended.is_(None), ended > until))
                .values(not_after_ms=until)
            )
            connection.execute(API_KEY_SECRET.delete().where(ours, ended <= now_ms))
            _add_secret(connection, name, sha256, now_ms)
            _write(connection, msgspec.structs.replace(before, updated_at_ms=now_ms), seq)
            self._auditor.note(connection, now_ms, "key.rotate", before, before)
            return _existing(connection, name)

        return self._changing(change)

    def delete(self, name: str, now_ms: int) -> None:
        """Delete a key: its name stays, so that the ledger's names never change their meaning.

        Raises:
            UnknownNameError: there is none.
        """

        def change(connection: sa.Connection, seq: int) -> None:
            before = _existing(connection, name)
            connection.execute(API_KEY_SECRET.delete().where(API_KEY_SECRET.c.key_name == name))
            gone = msgspec.structs.replace(before, deleted_at_ms=now_ms, updated_at_ms=now_ms)
            _write(connection, gone, seq)
            self._auditor.note(connection, now_ms, "key.delete", before, None)

        self._changing(change)

    def _check_owner(self, connection: sa.Connection, owner: str | None) -> None:
        """Look in the transaction of the change: the owner could be deleted between two."""
        if owner is None or owner in self._configured_owners:
            return
        there = sa.select(OWNER.c.name).where(
            OWNER.c.name == owner, OWNER.c.deleted_at_ms.is_(None)
        )
        if connection.execute(there).one_or_none() is None:
            raise UnknownOwnerError(owner)

    def _changing(self, change: Callable[[sa.Connection, int], _T]) -> _T:
        def transaction() -> _T:
            with self._engine.begin() as connection:
                return change(connection, next_number(connection))

        return tried_again(transaction)


def _existing(connection: sa.Connection, name: str) -> KeyRecord:
    found = key_records(connection, API_KEY.c.name == name, API_KEY.c.deleted_at_ms.is_(None))
    if not found:
        raise UnknownNameError(name)
    return found[0]


def _add_secret(connection: sa.Connection, name: str, sha256: str, now_ms: int) -> None:
    connection.execute(
        API_KEY_SECRET.insert().values(
            sha256=sha256, key_name=name, created_at_ms=now_ms, not_after_ms=None
        )
    )


def _write(connection: sa.Connection, record: KeyRecord, seq: int) -> None:
    connection.execute(
        API_KEY.update().where(API_KEY.c.name == record.name).values(**_values(record), seq=seq)
    )


def _values(record: KeyRecord) -> dict[str, object]:
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    del values["secrets"]
    for name in ("models", "limits", "budgets", "tags"):
        values[name] = msgspec.json.encode(values[name]).decode()
    values["disabled"] = int(record.disabled)
    return values


def opened_by(engine: sa.Engine, sha256: str) -> KeyRecord | None:
    """Return the key that a secret of this digest is of, whether or not it opens it now; None: there is none."""
    of_secret = sa.select(API_KEY_SECRET.c.key_name).where(API_KEY_SECRET.c.sha256 == sha256)
    with reading(engine) as connection:
        found = key_records(
            connection,
            API_KEY.c.name.in_(of_secret.scalar_subquery()),
            API_KEY.c.deleted_at_ms.is_(None),
        )
    return found[0] if found else None
