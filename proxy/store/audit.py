"""Who changed what: a row in the very transaction of the change."""

from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.store.tables import AUDIT


class AuditEntry(msgspec.Struct, frozen=True):
    """A change.

    Attributes:
        id: counts up.
        at_ms: when, in Unix milliseconds.
        actor: who: the name of an admin key, or `cli:USER`.
        action: what was done, such as `key.create`.
        object: to what, such as `laptop`.
        before, after: the object; None: it was not there, or is not any more.
    """

    id: int
    at_ms: int
    actor: str
    action: str
    object: str
    before: Any = None
    after: Any = None


class Auditor:
    """Writes down what one actor changes.

    Args:
        actor: the name of an admin key, or `cli:USER`.
    """

    def __init__(self, actor: str) -> None:
        self._actor = actor

    def note(
        self, connection: sa.Connection, at_ms: int, action: str, before: Any, after: Any
    ) -> None:
        """Write down a change of a key or an owner, without its secrets; None: it was not there, or is not any more."""
        named = after if after is not None else before
        connection.execute(
            AUDIT.insert().values(
                at_ms=at_ms,
                actor=self._actor,
                action=action,
                object=named.name,
                before=_text(before),
                after=_text(after),
            )
        )


def entries(
    connection: sa.Connection, limit: int, before_id: int | None = None
) -> list[AuditEntry]:
    """Return the newest changes, or those before one, newest first."""
    query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(AUDIT.c.id < before_id)
    return [
        AuditEntry(
            row.id,
            row.at_ms,
            row.actor,
            row.action,
            row.object,
            _value(row.before),
            _value(row.after),
        )
        for row in connection.execute(query)
    ]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    shown = msgspec.to_builtins(value)
    shown.pop("secrets", None)
    return msgspec.json.encode(shown).decode()


def _value(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
