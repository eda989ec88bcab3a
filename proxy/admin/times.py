"""How long requests took of late: from the buckets that workers have counted since they began. Pure.

Workers know no "of late": what they said some minutes ago is taken off what they say now.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from proxy.telemetry.series import FIRST_BYTE_S, REQUEST_S
from proxy.upstreams.report import Report

LATELY_MS = 15 * 60_000
_PERCENTS = (50, 95)

# By worker and upstream: requests in each bucket, until the first byte and until the end.
_Buckets = tuple[list[int], list[int]]
_Known = dict[tuple[int, str], _Buckets]
_NONE: _Buckets = ([0] * (len(FIRST_BYTE_S) + 1), [0] * (len(REQUEST_S) + 1))


class Lately:
    """The times of the last minutes, of all upstreams and of each."""

    def __init__(self) -> None:
        self._known: _Known = {}
        self._kept: deque[tuple[int, _Known]] = deque()

    def take(self, workers: Sequence[Sequence[Report] | None]) -> None:
        """Take note of what workers say, by their places; of one that does not answer, that which was known stays."""
        silent = {place for place, reports in enumerate(workers) if reports is None}
        self._known = {at: each for at, each in self._known.items() if at[0] in silent}
        for place, reports in enumerate(workers):
            for each in reports or ():
                if each.first_byte is not None and each.total is not None:
                    self._known[place, each.upstream] = each.first_byte.counts, each.total.counts

    def keep(self, at_ms: int) -> None:
        """Let what is known now be that of a time, from which on is counted some minutes later."""
        self._kept.append((at_ms, self._known))
        while len(self._kept) > 1 and self._kept[1][0] <= at_ms - LATELY_MS:
            self._kept.popleft()

    @property
    def since_ms(self) -> int | None:
        """From when on is counted, in Unix milliseconds; None: since the workers began."""
        return self._kept[0][0] if self._kept else None

    def of(self, upstream: str | None = None) -> dict[str, Any]:
        """Return percentiles of an upstream, or of all of them, as the admin API tells them."""
        before = self._kept[0][1] if self._kept else {}
        first_byte, total = _NONE
        for at, (firsts, totals) in self._known.items():
            if upstream in (None, at[1]):
                firsts_before, totals_before = before.get(at, _NONE)
                first_byte = _sum(first_byte, _since(firsts_before, firsts))
                total = _sum(total, _since(totals_before, totals))
        return {
            "requests": sum(total),
            "first_byte_ms": _percentiles(FIRST_BYTE_S, first_byte),
            "total_ms": _percentiles(REQUEST_S, total),
        }


def _sum(one: Iterable[int], other: Iterable[int]) -> list[int]:
    return [first + second for first, second in zip(one, other, strict=True)]


def _since(before: list[int], now: list[int]) -> list[int]:
    """Return what has come since; counts that have become less are those of a worker that began anew."""
    came = [later - earlier for earlier, later in zip(before, now, strict=True)]
    return now if min(came) < 0 else came


def _percentiles(bounds_s: Sequence[float], counts: Sequence[int]) -> dict[str, int | None]:
    return {f"p{percent}": _at(percent, bounds_s, counts) for percent in _PERCENTS}


def _at(percent: int, bounds_s: Sequence[float], counts: Sequence[int]) -> int | None:
    """Return which time, in milliseconds, so many percent do not exceed; None: there are no requests.

    Within a bucket they are taken to be spread evenly. What is beyond the last bound is said to be at it.
    """
    wanted = sum(counts) * percent / 100
    if not wanted:
        return None
    below = list(accumulate(counts))
    place = bisect_left(below, wanted)
    if place == len(bounds_s):
        return round(bounds_s[-1] * 1000)
    least_s = bounds_s[place - 1] if place else 0.0
    share = 1 - (below[place] - wanted) / counts[place]
    return round((least_s + (bounds_s[place] - least_s) * share) * 1000)
