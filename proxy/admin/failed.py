"""What failed, by whose fault it was, with what to do about it. Pure."""

from collections.abc import Sequence

import msgspec

from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_US, LOST
from proxy.notices.notice import ADVICE
from proxy.store.views import Failures

UPSTREAMS, LIMITS, CLIENTS, OURS = "upstream", "limits", "client", "gateway"
FAULTS = (UPSTREAMS, LIMITS, CLIENTS, OURS)
_SAMPLES = 3
_OF_LIMITS = ("limited_", "budget_")
_OF_OURS = frozenset(
    {
        *BROKEN_BY_US,
        LOST,
        Cause.BODY_MEMORY,
        Cause.DRAINING,
        Cause.KEYS_UNAVAILABLE,
        Cause.LIMITS_UNAVAILABLE,
        Cause.OUT_OF_FILES,
        Cause.STORE_UNAVAILABLE,
        Cause.TOO_MANY_CONNECTIONS,
    }
)
# Said before anything is sent, though the request's upstream may be known by then.
_BEFORE_SENDING = frozenset(
    {
        *(each for each in Cause if each.startswith(_OF_LIMITS)),
        Cause.BODY_MEMORY,
        Cause.KEYS_UNAVAILABLE,
        Cause.LIMITS_UNAVAILABLE,
        Cause.MODEL_FORBIDDEN,
        Cause.STORE_UNAVAILABLE,
        Cause.TOO_MANY_CONNECTIONS,
        Cause.UNAUTHENTICATED,
        Cause.UNKNOWN_MODEL,
        Cause.UNSENDABLE_HEADER,
    }
)


# The ledger has only keys that are known.
_OF_KNOWN_KEYS = (
    "somebody still uses a key that has expired, is disabled or was rotated: give the client a good one; Keys shows "
    "whose, under refused"
)


class Failure(msgspec.Struct, frozen=True):
    """Requests that failed for one cause at one upstream.

    Attributes:
        fault: whose it is: one of `FAULTS`.
        cause: a word of the access log. `upstream`: where they went; None: nowhere.
        statuses: told to clients, those of most requests first.
        requests: how many; `retried`: of them retries of the client's own.
        first_ms, last_ms: when the first and the last came, in Unix milliseconds.
        ids: ours of some; `upstream_ids`: the upstream's, to name to its support.
        do: what to do.
    """

    fault: str
    cause: str
    upstream: str | None
    statuses: tuple[int | None, ...]
    requests: int
    retried: int
    first_ms: int
    last_ms: int
    ids: tuple[str, ...]
    upstream_ids: tuple[str, ...]
    do: str


class OfClient(msgspec.Struct, frozen=True):
    """Requests of one version of a client that failed for one cause."""

    client: str | None
    cause: str
    requests: int
    retried: int


def what_to_do(cause: str, upstream: str | None) -> str:
    """Return what to do about a failure of the ledger's; '': nobody knows."""
    if cause == Cause.UNAUTHENTICATED:
        return _OF_KNOWN_KEYS
    advice = ADVICE.get(cause)
    return "" if advice is None else advice.for_subject(upstream or "")


def fault_of(cause: str) -> str:
    """Return whose fault it is that a request failed."""
    if cause.startswith("upstream_"):
        return UPSTREAMS
    if cause in _OF_OURS:
        return OURS
    if cause.startswith(_OF_LIMITS):
        return LIMITS
    return CLIENTS


def by_cause(failures: Sequence[Failures]) -> tuple[Failure, ...]:
    """Return failures by cause and upstream, the most of each fault first."""
    groups: dict[tuple[str, str | None], list[Failures]] = {}
    for each in failures:
        upstream = None if each.cause in _BEFORE_SENDING else each.upstream
        groups.setdefault((each.cause, upstream), []).append(each)
    found = [_failure(cause, upstream, of) for (cause, upstream), of in groups.items()]
    found.sort(key=lambda each: (FAULTS.index(each.fault), -each.requests, each.cause))
    return tuple(found)


def by_client(failures: Sequence[Failures]) -> tuple[OfClient, ...]:
    """Return failures by version of a client and cause, the most first."""
    sums: dict[tuple[str | None, str], tuple[int, int]] = {}
    for each in failures:
        requests, retried = sums.get((each.client, each.cause), (0, 0))
        sums[each.client, each.cause] = (requests + each.requests, retried + each.retried)
    found = [OfClient(client, cause, *counts) for (client, cause), counts in sums.items()]
    return tuple(sorted(found, key=lambda each: (-each.requests, each.client or "", each.cause)))


def _failure(cause: str, upstream: str | None, of: Sequence[Failures]) -> Failure:
    upstream_ids = [each.sample_upstream_id for each in of if each.sample_upstream_id is not None]
    return Failure(
        fault=fault_of(cause),
        cause=cause,
        upstream=upstream,
        statuses=tuple(dict.fromkeys(each.status for each in of)),
        requests=sum(each.requests for each in of),
        retried=sum(each.retried for each in of),
        first_ms=min(each.first_ms for each in of),
        last_ms=max(each.last_ms for each in of),
        ids=tuple(each.sample_id for each in of)[:_SAMPLES],
        upstream_ids=tuple(upstream_ids)[:_SAMPLES],
        do=what_to_do(cause, upstream),
    )
