"""Whatever has an id that begins with some text: requests, sessions, agents; and the last day of each key."""

from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.store.bounded import bounded
from proxy.store.scope import DAYS, Scope, within
from proxy.store.tables import REQUEST, USAGE_DAY

_MOST = 20
_LEAST_CHARS = 6
_LAST = chr(0x10FFFF)
_R = REQUEST.c


class Hit(msgspec.Struct, frozen=True):
    """Something that was found: `request`, `session` or `agent`, of which `session_id` is the session."""

    kind: str
    id: str
    session_id: str | None = None


def find(engine: sa.Engine, scope: Scope, text: str, *, with_sessions: bool) -> list[Hit]:
    """Return what has an id that begins with a text, some of each kind at most.

    Args:
        engine: of the store.
        scope: which requests.
        text: not empty.
        with_sessions: whether sessions and agents are looked for, too.
    """
    hits = []
    with bounded(engine) as connection:
        for column in (_R.id, _R.upstream_request_id):
            query = sa.select(_R.id).where(*within(scope), *_begins(column, text)).limit(_MOST)
            hits += [Hit("request", each) for each in connection.scalars(query)]
        if with_sessions:
            found = connection.scalars(_sessions(scope, text))
            hits += [Hit("session", str(each), each) for each in found]
            agents = sa.select(_R.agent_id, _R.session_id).where(
                *within(scope), _R.agent_id == text, _R.session_id.is_not(None)
            )
            found_agents = connection.execute(agents.distinct().limit(_MOST))
            hits += [Hit("agent", str(agent), session) for agent, session in found_agents]
    return list(dict.fromkeys(hits))


def sessions_like(engine: sa.Engine, scope: Scope, text: str) -> list[str]:
    """Return the id of a session that is some text, or else, of six characters or more, some that begin with it."""
    with bounded(engine) as connection:
        found = [str(each) for each in connection.scalars(_sessions(scope, text))]
    if text in found:
        return [text]
    return found if len(text) >= _LEAST_CHARS else []


def _sessions(scope: Scope, text: str) -> sa.Select[Any]:
    query = sa.select(_R.session_id).where(*within(scope), *_begins(_R.session_id, text))
    # The text itself comes first, before all that are longer.
    return query.distinct().order_by(_R.session_id).limit(_MOST)


def last_days(engine: sa.Engine, scope: Scope) -> dict[str, int]:
    """Return of each key the last day that it was used on, as days since 1970."""
    query = (
        sa.select(USAGE_DAY.c.key, sa.func.max(USAGE_DAY.c.day))
        .where(*within(scope, DAYS))
        .group_by(USAGE_DAY.c.key)
    )
    with bounded(engine) as connection:
        return {key: int(day) for key, day in connection.execute(query)}


def _begins(column: sa.ColumnElement[str], text: str) -> tuple[sa.ColumnElement[bool], ...]:
    # Texts are compared by their bytes, so that an index finds them.
    return column >= text, column < text + _LAST
