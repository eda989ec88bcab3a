"""Managed owners in the store: each change in one transaction, with its number and its row in the audit."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from proxy.access.records import OwnerRecord
from proxy.store.audit import Auditor
from proxy.store.changes import next_number, owner_record
from proxy.store.engine import reading, tried_again
from proxy.store.keys import UnknownNameError
from proxy.store.tables import API_KEY, OWNER

_NAMED_KEYS = 10


class OwnerInUseError(Exception):
    """An owner that keys belong to: deleted, it would take its limits and budgets off them.

    Attributes:
        owner: its name.
        keys: the names of the keys.
    """

    def __init__(self, owner: str, keys: Sequence[str]) -> None:
        super().__init__(owner)
        self.owner = owner
        self.keys = keys

    def told(self) -> str:
        """Return a sentence that names the keys, the first of many."""
        more = len(self.keys) - _NAMED_KEYS
        named = ", ".join(self.keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
        return f"owner {self.owner} has keys, which would lose its limits and budgets: {named}"


class Owners:
    """The owners of a store; as `store.keys.Keys`."""

    def __init__(self, engine: sa.Engine, actor: str) -> None:
        self._engine = engine
        self._auditor = Auditor(actor)

    def all(self) -> list[OwnerRecord]:
        """Return every owner, by name."""
        query = sa.select(OWNER).where(OWNER.c.deleted_at_ms.is_(None)).order_by(OWNER.c.name)
        with reading(self._engine) as connection:
            return [owner_record(row) for row in connection.execute(query)]

    def get(self, name: str) -> OwnerRecord:
        """Return an owner.

        Raises:
            UnknownNameError: there is none.
        """
        with reading(self._engine) as connection:
            record = _find(connection, name)
        if record is None or record.deleted_at_ms is not None:
            raise UnknownNameError(name)
        return record

    def put(self, record: OwnerRecord, now_ms: int) -> OwnerRecord:
        """Add an owner, or change the one of its name; one that was deleted comes back."""

        def change() -> OwnerRecord:
            with self._engine.begin() as connection:
                seq = next_number(connection)
                before = _find(connection, record.name)
                created_at_ms = now_ms if before is None else before.created_at_ms
                after = msgspec.structs.replace(
                    record, created_at_ms=created_at_ms, updated_at_ms=now_ms, deleted_at_ms=None
                )
                _write(connection, after, seq, is_new=before is None)
                was = before if before is not None and before.deleted_at_ms is None else None
                self._auditor.note(connection, now_ms, "owner.put", was, after)
                return after

        return tried_again(change)

    def delete(self, name: str, now_ms: int) -> None:
        """Delete an owner that no key belongs to.

        Raises:
            UnknownNameError: there is none.
            OwnerInUseError: keys belong to it.
        """

        def change() -> None:
            with self._engine.begin() as connection:
                seq = next_number(connection)
                before = _find(connection, name)
                if before is None or before.deleted_at_ms is not None:
                    raise UnknownNameError(name)
                if keys := _keys_of(connection, name):
                    raise OwnerInUseError(name, keys)
                gone = msgspec.structs.replace(before, updated_at_ms=now_ms, deleted_at_ms=now_ms)
                _write(connection, gone, seq, is_new=False)
                self._auditor.note(connection, now_ms, "owner.delete", before, None)

        tried_again(change)


def _keys_of(connection: sa.Connection, owner: str) -> list[str]:
    query = sa.select(API_KEY.c.name).where(
        API_KEY.c.owner == owner, API_KEY.c.deleted_at_ms.is_(None)
    )
    return list(connection.execute(query.order_by(API_KEY.c.name)).scalars())


def _find(connection: sa.Connection, name: str) -> OwnerRecord | None:
    row = connection.execute(sa.select(OWNER).where(OWNER.c.name == name)).one_or_none()
    return None if row is None else owner_record(row)


def _write(connection: sa.Connection, record: OwnerRecord, seq: int, *, is_new: bool) -> None:
    values = {
        **{name: getattr(record, name) for name in record.__struct_fields__},
        "limits": msgspec.json.encode(record.limits).decode(),
        "budgets": msgspec.json.encode(record.budgets).decode(),
        "seq": seq,
    }
    query = OWNER.insert() if is_new else OWNER.update().where(OWNER.c.name == record.name)
    connection.execute(query.values(**values))
