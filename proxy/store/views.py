"""What the pages ask of single requests: one by any of its ids, failures in groups, percentiles.

Every question takes a scope, ends after some seconds, and returns a bounded number of rows; as `store.sessions`. Sums
by other dimensions are `store.usage`'s.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from proxy.ledger.row import Row
from proxy.store.bounded import ANSWERED_WITHIN_S, bounded
from proxy.store.scope import REQUESTS, Scope, total, within
from proxy.store.tables import CACHE_DAY, CACHE_SUMS, REQUEST

MAX_GROUPS = 5_000
_MAX_TIMES = 100_000
_DAY_MS = 86_400_000
_R = REQUEST.c
_D = CACHE_DAY.c


class Failures(msgspec.Struct, frozen=True):
    """Requests that ended badly alike.

    Attributes:
        cause: a word of `proxy.causes`. `upstream`: where they went; None: nowhere.
        client: product and version, as the client says.
        status: told to the client; None: none.
        requests: how many. `retried`: how many of them were retries of the client's.
        first_ms, last_ms: when the first and the last came.
        sample_id: ours of one of them; `sample_upstream_id`: the upstream's of one.
    """

    cause: str
    upstream: str | None
    client: str | None
    status: int | None
    requests: int
    retried: int
    first_ms: int
    last_ms: int
    sample_id: str
    sample_upstream_id: str | None


class Percentiles(msgspec.Struct, frozen=True):
    """Of requests to one upstream that was sent to: exact, of all of them.

    Attributes:
        upstream: its name.
        requests: how many. `failed`: how many of them failed.
        first_byte_ms, total_ms: by percent; empty where none is known.
    """

    upstream: str
    requests: int
    failed: int
    first_byte_ms: dict[int, int]
    total_ms: dict[int, int]


class CacheSums(msgspec.Struct, frozen=True):
    """Sums about the cache; `day` is counted since 1970, and what was not asked for is '' or 0."""

    day: int
    key: str
    model: str
    request_class: str
    kind: str
    requests: int
    tokens: int
    cost_micros: int


def request(engine: sa.Engine, scope: Scope, any_id: str) -> Row | None:
    """Return a request by our id, or by its upstream's, which is the one that its client was told; None: none such.

    Of several with one id of an upstream's, the last one.
    """
    for column in (_R.id, _R.upstream_request_id):
        query = sa.select(REQUEST).where(*within(scope), column == any_id)
        with bounded(engine) as connection:
            found = connection.execute(query.order_by(_R.at_ms.desc()).limit(1)).first()
        if found is not None:
            return Row(*found)
    return None


def failures(
    engine: sa.Engine, scope: Scope, *, within_s: float = ANSWERED_WITHIN_S
) -> list[Failures]:
    """Return what ended badly in groups of cause, upstream, client and status, the largest first."""
    is_retry = sa.func.coalesce(_R.client_retry, 0) > 0
    group = (_R.cause, _R.upstream, _R.client, _R.status)
    query = (
        sa.select(
            *group,
            total(_R.requests).label("n"),
            total(sa.case((is_retry, _R.requests), else_=0)),
            sa.func.min(_R.at_ms),
            sa.func.max(_R.at_ms),
            sa.func.max(_R.id),
            sa.func.max(_R.upstream_request_id),
        )
        .where(*within(scope), _R.cause.is_not(None))
        .group_by(*group)
        .order_by(sa.text("n DESC"), *group)
        .limit(MAX_GROUPS)
    )
    with bounded(engine, within_s) as connection:
        return [Failures(*each) for each in connection.execute(query)]


def percentiles(
    engine: sa.Engine, scope: Scope, percents: Sequence[int] = (50, 95, 99)
) -> list[Percentiles]:
    """Return percentiles of the times of each upstream, over all requests of a scope: of the last hour, say."""
    failed = REQUESTS.sums["failed"]
    query = (
        sa.select(_R.upstream, _R.first_byte_ms, _R.total_ms, failed)
        .where(*within(scope), _R.upstream.is_not(None))
        .order_by(_R.at_ms.desc())
        .limit(_MAX_TIMES)
    )
    of: dict[str, list[Any]] = {}
    with bounded(engine) as connection:
        for upstream, *times in connection.execute(query):
            of.setdefault(upstream, []).append(times)
    return [
        Percentiles(
            upstream,
            len(rows),
            sum(failed for _, _, failed in rows),
            *(_at([row[n] for row in rows if row[n] is not None], percents) for n in (0, 1)),
        )
        for upstream, rows in sorted(of.items())
    ]


def cache_sums(engine: sa.Engine, scope: Scope, by: Sequence[str] = ("kind",)) -> list[CacheSums]:
    """Return sums about the cache, of whole UTC days; by any of day, key, model, request_class and kind.

    A scope's key, model and class count, and its times.
    """
    conditions = [
        _D[name] == value
        for name in ("key", "model", "request_class")
        if (value := getattr(scope, name)) is not None
    ]
    if scope.since_ms is not None:
        conditions.append(_D.day >= scope.since_ms // _DAY_MS)
    if scope.until_ms is not None:
        conditions.append(_D.day < -(-scope.until_ms // _DAY_MS))
    none: dict[str, Any] = {"day": 0, "key": "", "model": "", "request_class": "", "kind": ""}
    columns: list[Any] = [
        *(_D[name] if name in by else sa.literal(value) for name, value in none.items()),
        *(total(_D[name]) for name in CACHE_SUMS),
    ]
    grouped = [_D[name] for name in none if name in by]
    query = (
        sa.select(*columns)
        .where(*conditions)
        .group_by(*grouped)
        .order_by(*grouped)
        .limit(MAX_GROUPS)
    )
    with bounded(engine) as connection:
        found = [CacheSums(*each) for each in connection.execute(query)]
    return [each for each in found if each.requests]  # of nothing, SQL makes a sum


def _at(values: list[int], percents: Sequence[int]) -> dict[int, int]:
    """Return the smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return {each: ordered[-(-len(ordered) * each // 100) - 1] for each in percents if ordered}
