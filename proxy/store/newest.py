"""Of very many requests the newest: what a question that looks at each of them gets through in its time."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from proxy.store.bounded import ANSWERED_WITHIN_S, bounded
from proxy.store.scope import REQUESTS, Scope, source_of, within
from proxy.store.tables import REQUEST

# Half a second's work of one core, in either engine.
MOST = 300_000
_R = REQUEST.c


def newest(
    engine: sa.Engine,
    scope: Scope,
    by: Sequence[str],
    *,
    failed: bool = False,
    within_s: float = ANSWERED_WITHIN_S,
) -> Scope:
    """Return a scope that leaves out all but its newest `MOST` requests; itself: it has no more, or has sums.

    Args:
        engine: of the store.
        scope: which requests. They are counted by its times and key, which have indexes, whatever else it names.
        by: what sums of it will be grouped by.
        failed: whether only requests that ended badly are looked at.
        within_s: how long it may take.
    """
    indexed = Scope(since_ms=scope.since_ms, until_ms=scope.until_ms, key=scope.key)
    conditions = [*within(indexed), *([_R.cause.is_not(None)] if failed else [])]
    query = sa.select(_R.at_ms).where(*conditions).order_by(_R.at_ms.desc()).limit(1).offset(MOST)
    with bounded(engine, within_s) as connection:
        if source_of(connection, by, scope) is not REQUESTS:
            return scope
        last_ms: int | None = connection.scalar(query)
    return scope if last_ms is None else msgspec.structs.replace(scope, since_ms=last_ms + 1)
