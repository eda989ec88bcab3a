"""Arithmetic on samples: percentiles and slope."""

import statistics
from collections.abc import Sequence
from itertools import combinations


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median slope between any two points (Theil-Sen); NaN of fewer than two.

    Memory given back and taken again for a moment moves a least-squares line by several hundred
    kilobytes a minute; it does not move this one.
    """
    points = combinations(zip(times, values, strict=True), 2)
    slopes = [(value - first) / (time - start) for (start, first), (time, value) in points]
    return statistics.median(slopes) if slopes else float("nan")
