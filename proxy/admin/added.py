"""What the workers of a machine tell of limits and budgets, each of what itself counts, made one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

_SHARED = "shared"


def added(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several workers tell of one subject, as one.

    What is in flight, held or taken of a rate is summed. What was spent is that of the worker that knows most: each
    learns from the ledger what the others have spent. Shared counts are the same whoever tells them.

    Args:
        told: as `proxy.tenancy.state.limits_of` returns it, one at least.
    """
    for each in told:
        if each["state"] == _SHARED:
            return dict(each)
    first = told[0]
    return {
        **first,
        "limits": {
            name: _limit([each["limits"][name] for each in told if name in each["limits"]])
            for name in first["limits"]
        },
        "budgets": {
            name: _budget([each["budgets"][name] for each in told if name in each["budgets"]])
            for name in first["budgets"]
        },
    }


def page_of(pages: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """Return the pages that several workers tell as one, of so many subjects at most.

    Args:
        pages: as `proxy.tenancy.state.page_of_limits` returns them, of the same place and length; one at least.
        limit: their length.
    """
    by_subject: dict[str, list[Mapping[str, Any]]] = {}
    for each in (each for page in pages for each in page["data"]):
        by_subject.setdefault(each["subject"], []).append(each)
    names = sorted(by_subject)
    has_more = len(names) > limit or any(page["has_more"] for page in pages)
    data = [added(by_subject[name]) for name in names[:limit]]
    return {"data": data, "has_more": has_more, "next": names[:limit][-1] if has_more else None}


def _limit(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    limit = told[0]["limit"]
    if "in_flight" in told[0]:
        return {**told[0], "in_flight": sum(each["in_flight"] for each in told)}
    taken = sum(limit - each["remaining"] for each in told)
    return {
        **told[0],
        "remaining": max(limit - taken, 0),
        "reset": max(each["reset"] for each in told),
    }


def _budget(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **told[0],
        "spent_micros": max(each["spent_micros"] for each in told),
        "held_micros": sum(each["held_micros"] for each in told),
    }
