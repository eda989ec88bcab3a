"""The samples of a run, and what is computed from them."""

import math
import statistics
from collections import defaultdict
from typing import Any

from bench.contenders import DIRECT, YARDSTICKS
from bench.workloads import WORKLOADS, Sample

# Figures where every single one counts: shown as sums over the rounds.
COUNTS = ("failed", "lost", "unfinished")


class Results:
    """Samples by workload, contender and round."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._samples: dict[tuple[str, str], dict[int, Sample]] = defaultdict(dict)

    def add(self, workload: str, contender: str, turn: int, sample: Sample) -> None:
        """Keep one measurement."""
        if sample:
            self._samples[workload, contender][turn] = sample

    def add_latency_over_direct(self, turn: int) -> None:
        """Give W6 of this round what each contender adds to a direct connection."""
        direct = self._samples["W6", DIRECT].get(turn)
        for (workload, contender), samples in self._samples.items():
            if direct and workload == "W6" and contender != DIRECT and turn in samples:
                for point in ("p50_ms", "p99_ms"):
                    added = samples[turn][point] - direct[point]
                    samples[turn][f"added_{point}"] = added

    def contenders(self, workload: str) -> list[str]:
        """Return who has samples of a workload."""
        return [
            name for (key, name), samples in self._samples.items() if key == workload and samples
        ]

    def metrics(self, workload: str) -> list[str]:
        """Return the names of a workload's figures in the order measured, counts last."""
        names: dict[str, None] = {}
        for contender in self.contenders(workload):
            for sample in self._samples[workload, contender].values():
                names.update(dict.fromkeys(sample))
        return sorted(names, key=lambda name: name in COUNTS)

    def values(self, workload: str, contender: str, metric: str) -> dict[int, float]:
        """Return a figure by round."""
        samples = self._samples.get((workload, contender), {})
        return {turn: sample[metric] for turn, sample in samples.items() if metric in sample}

    def median(self, workload: str, contender: str, metric: str) -> float | None:
        """Return a figure's median over the rounds, a count's sum, None when never measured."""
        values = self.values(workload, contender, metric).values()
        if not values:
            return None
        return sum(values) if metric in COUNTS else statistics.median(values)

    def ratio(self, workload: str, contender: str, other: str, metric: str) -> float | None:
        """Return the median of the ratios taken round by round: drift between rounds cancels."""
        values = self.values(workload, contender, metric)
        others = self.values(workload, other, metric)
        ratios = [values[turn] / others[turn] for turn in values if others.get(turn)]
        return statistics.median(ratios) if ratios else None

    def as_json(self) -> dict[str, Any]:
        """Return every sample, median, spread and ratio."""
        return {
            workload: {
                "title": WORKLOADS[workload].title,
                "contenders": {
                    contender: self._contender_json(workload, contender)
                    for contender in self.contenders(workload)
                },
            }
            for workload in WORKLOADS
            if self.contenders(workload)
        }

    def _contender_json(self, workload: str, contender: str) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for metric in self.metrics(workload):
            values = list(self.values(workload, contender, metric).values())
            if values:
                figures[metric] = {
                    "median": _finite(statistics.median(values)),
                    "low": _finite(min(values)),
                    "high": _finite(max(values)),
                    "values": [_finite(value) for value in values],
                }
        ratio_of = WORKLOADS[workload].ratio_of
        if ratio_of:
            for other in YARDSTICKS:
                ratio = self.ratio(workload, contender, other, ratio_of)
                figures[f"ratio_to_{other}"] = None if ratio is None else _finite(ratio)
        return figures


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
