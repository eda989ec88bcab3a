"""The numbers of changes of keys and owners, and what has changed since one of them.

A change raises the number (`meta.keys_seq`) first: its row stays locked until the commit, so changes are committed in
the order of their numbers, and whoever has read one can read all before it.
"""

import msgspec
import sqlalchemy as sa

from proxy.access.records import Changes, KeyRecord, OwnerRecord, Secret
from proxy.config import Budgets, RateLimits
from proxy.store.tables import API_KEY, API_KEY_SECRET, META, OWNER

_SEQ = "keys_seq"


def next_number(connection: sa.Connection) -> int:
    """Raise the number of changes, and return it: the first statement of each change."""
    raised = connection.execute(
        META.update()
        .where(META.c.name == _SEQ)
        .values(value=META.c.value + 1)
        .returning(META.c.value)
    )
    return int(raised.scalar_one())


def since(connection: sa.Connection, seq: int) -> Changes:
    """Return what has changed after a number; 0: everything that is there."""
    now = int(connection.execute(sa.select(META.c.value).where(META.c.name == _SEQ)).scalar_one())
    if now == seq:
        return Changes(seq)
    return Changes(
        seq=now,
        keys=tuple(key_records(connection, API_KEY.c.seq > seq)),
        owners=tuple(
            owner_record(row)
            for row in connection.execute(sa.select(OWNER).where(OWNER.c.seq > seq))
        ),
    )


def key_records(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> list[KeyRecord]:
    """Return the keys that meet the conditions, by name, each with its secrets, the newest first."""
    rows = connection.execute(
        sa.select(API_KEY).where(*conditions).order_by(API_KEY.c.name).limit(limit)
    ).all()
    secrets: dict[str, list[Secret]] = {row.name: [] for row in rows}
    found = connection.execute(
        sa.select(API_KEY_SECRET)
        .where(API_KEY_SECRET.c.key_name.in_(secrets))
        .order_by(
            API_KEY_SECRET.c.not_after_ms.is_(None).desc(), API_KEY_SECRET.c.not_after_ms.desc()
        )
    )
    for each in found:
        secrets[each.key_name].append(Secret(each.sha256, each.not_after_ms))
    return [
        KeyRecord(
            name=row.name,
            owner=row.owner,
            models=msgspec.json.decode(row.models, type=tuple[str, ...]),
            limits=msgspec.json.decode(row.limits, type=RateLimits | None),
            budgets=msgspec.json.decode(row.budgets, type=Budgets | None),
            tags=msgspec.json.decode(row.tags, type=dict[str, str]),
            expires_at_ms=row.expires_at_ms,
            disabled=bool(row.disabled),
            created_at_ms=row.created_at_ms,
            updated_at_ms=row.updated_at_ms,
            deleted_at_ms=row.deleted_at_ms,
            secrets=tuple(secrets[row.name]),
        )
        for row in rows
    ]


def owner_record(row: sa.Row[tuple[object, ...]]) -> OwnerRecord:
    """Return the owner of a row of its table."""
    return OwnerRecord(
        name=row.name,
        limits=msgspec.json.decode(row.limits, type=RateLimits),
        budgets=msgspec.json.decode(row.budgets, type=Budgets),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        deleted_at_ms=row.deleted_at_ms,
    )
