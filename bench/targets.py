"""What the gateway has to reach, in this run's own figures."""

from dataclasses import dataclass

from bench.contenders import BEFORE, EMBEDDED, GATEWAY, NGINX, POOL, RELAY, SCALED, TRACES, VIEW
from bench.results import Results


@dataclass(frozen=True)
class Target:
    """One bound on the gateway.

    Attributes:
        bound: the limit, in the figure's unit or as a ratio.
        at_least: whether more is better.
        ratio_to: compare the ratio to this contender instead of the figure itself.
        minus: compare the difference to this contender instead of the figure itself.
        of: whose figure it is.
    """

    workload: str
    metric: str
    bound: float
    at_least: bool = False
    ratio_to: str | None = None
    minus: str | None = None
    of: str = GATEWAY

    def measured(self, results: Results) -> float | None:
        """Return what is compared with the bound; None when the run does not hold it."""
        if self.ratio_to:
            return results.ratio(self.workload, self.of, self.ratio_to, self.metric)
        value = results.median(self.workload, self.of, self.metric)
        if value is not None and self.minus:
            other = results.median(self.workload, self.minus, self.metric)
            return None if other is None else value - other
        return value

    def holds(self, measured: float) -> bool:
        """Compare."""
        return measured >= self.bound if self.at_least else measured <= self.bound

    def __str__(self) -> str:
        whose = "" if self.of == GATEWAY else f"{self.of}: "
        what = f"{whose}{self.workload} {self.metric}"
        if self.ratio_to:
            what += f" / {self.ratio_to}"
        if self.minus:
            what += f" - {self.minus}"
        return f"{what} {'≥' if self.at_least else '≤'} {self.bound:g}"


TARGETS = (
    Target("W1", "rps", 1.2, at_least=True, ratio_to=RELAY),
    Target("W1", "rps", 0.12, at_least=True, ratio_to=NGINX),
    Target("W2", "rps", 1.2, at_least=True, ratio_to=RELAY),
    Target("W2", "rps", 0.22, at_least=True, ratio_to=NGINX),
    Target("W3", "rps", 0.9, at_least=True, ratio_to=RELAY),
    Target("W3", "block_max_ms", 10),
    Target("W5 200", "cpu_us", 40),
    Target("W5 200", "event_p99_ms", 5, minus=NGINX),
    Target("W5 1000", "lost", 0),
    Target("W6", "added_p50_ms", 0.4),
    Target("W6", "added_p99_ms", 1.5),
    Target("W7", "idle_mb", 60),
    Target("W7", "kb_per_stream", 40),
    # 100 open streams that were asked for with 1 MB, to 100 with 110 bytes.
    Target("W7", "asked_ratio", 1.1),
    # The soak opens 2,800 streams a minute: 180 bytes kept of each would exceed this.
    Target("W7", "slope_kb_min", 500),
    Target("W8", "start_s", 0.6),
    Target("W9", "w1_scale", 1.5, at_least=True),
    Target("W9", "w2_scale", 1.5, at_least=True),
    # Of a run with `--before`: what is new costs two parts in a hundred at the most.
    Target("W1", "rps", 0.98, at_least=True, ratio_to=BEFORE),
    Target("W2", "rps", 0.98, at_least=True, ratio_to=BEFORE),
    Target("W3", "rps", 0.98, at_least=True, ratio_to=BEFORE),
    Target("W5 200", "cpu_us", 1.02, ratio_to=BEFORE),
    # What a pool of two may cost beside no pool.
    Target("W1", "rps", 0.98, at_least=True, ratio_to=GATEWAY, of=POOL),
    Target("W5 200", "cpu_us", 1.02, ratio_to=GATEWAY, of=POOL),
    # What limits, budgets and ledger may cost.
    Target("W1", "rps", 0.92, at_least=True, ratio_to=GATEWAY, of=EMBEDDED),
    Target("W2", "rps", 0.92, at_least=True, ratio_to=GATEWAY, of=EMBEDDED),
    Target("W1", "rps", 0.75, at_least=True, ratio_to=GATEWAY, of=SCALED),
    Target("W2", "rps", 0.75, at_least=True, ratio_to=GATEWAY, of=SCALED),
    Target("W5 200", "cpu_us", 1.02, ratio_to=GATEWAY, of=EMBEDDED),
    Target("W5 200", "cpu_us", 1.02, ratio_to=GATEWAY, of=SCALED),
    Target("W8", "start_s", 0.15, minus=GATEWAY, of=EMBEDDED),
    Target("W8", "start_s", 0.15, minus=GATEWAY, of=SCALED),
    # What the view may cost: by throughput, and where others use the machine, by the worker's CPU time.
    Target("W1", "rps", 0.98, at_least=True, ratio_to=EMBEDDED, of=VIEW),
    Target("W2", "rps", 0.98, at_least=True, ratio_to=EMBEDDED, of=VIEW),
    Target("W1", "cpu_us", 1.02, ratio_to=EMBEDDED, of=VIEW),
    Target("W2", "cpu_us", 1.02, ratio_to=EMBEDDED, of=VIEW),
    Target("W1", "rps", 0.97, at_least=True, ratio_to=VIEW, of=TRACES),
    Target("W1", "cpu_us", 1.03, ratio_to=VIEW, of=TRACES),
    Target("view", "tally_us", 2, of=VIEW),
    Target("view", "parts_us", 5, of=VIEW),
)
